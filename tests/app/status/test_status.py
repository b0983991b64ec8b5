from tests.fixtures import media
from tests.fixtures.service import Service
from tests.fixtures.trained import EVENTS_A_USER, ITEMS, USERS, client_of, put_item


def test_counts_of_a_filled_project(trained: Service) -> None:
    pictures = sum(number % 3 > 0 for number in range(ITEMS))
    put_item(trained, "new", "x")
    trained.client.delete("/items/i1")
    status = trained.client.get("/admin/status").json()
    assert status == {
        "project": "default",
        "items": {"pending": 1, "encoded": 0, "ready": ITEMS - 1, "failed": 0, "total": ITEMS},
        "media": {"text": {"encoded": ITEMS - 1, "pending": 1}, "image": {"encoded": pictures - 1}},
        "events": USERS * EVENTS_A_USER,
        "users": USERS,
        "live_model": "v1",
        "jobs": {"queued": 1, "running": 0},
    }


def test_counts_of_failures(light: Service) -> None:
    put_item(light, "a", "x")
    light.client.post("/items/a/media/image", content=media.truncated_jpeg())
    light.run_jobs()
    status = light.client.get("/admin/status").json()
    assert status["items"] == {"pending": 0, "encoded": 0, "ready": 0, "failed": 1, "total": 1}
    assert status["media"]["image"] == {"failed": 1}


def test_counts_of_nothing_and_of_another_project(trained: Service) -> None:
    other = client_of(trained, "other")
    status = other.get("/admin/status").json()
    assert status["project"] == "other"
    assert set(status["items"].values()) == {0}
    assert (status["media"], status["events"], status["users"], status["live_model"]) == ({}, 0, 0, None)
