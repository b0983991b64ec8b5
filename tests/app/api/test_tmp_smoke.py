from tests.fixtures.service import Service
def test_a(trained: Service) -> None:
    answer = trained.client.get("/recommend/u0").json()
    assert answer["personalised"], answer
def test_b(light: Service) -> None:
    answer = light.client.get("/recommend/u0").json()
    assert answer["items"] == []
