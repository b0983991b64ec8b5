import pytest
from sqlalchemy.exc import OperationalError

from app.api.auth import Authenticator
from app.core.types import Scope
from tests.fixtures.service import Service
from tests.fixtures.trained import client_of

ROUTES = [
    ("GET", "/recommend/u", Scope.RECOMMEND),
    ("PUT", "/items/a", Scope.INGEST),
    ("POST", "/items", Scope.INGEST),
    ("GET", "/items", Scope.INGEST),
    ("GET", "/items/a", Scope.INGEST),
    ("PATCH", "/items/a", Scope.INGEST),
    ("DELETE", "/items/a", Scope.INGEST),
    ("POST", "/items/a/media/image", Scope.INGEST),
    ("GET", "/items/a/media/image", Scope.INGEST),
    ("POST", "/events", Scope.INGEST),
    ("POST", "/admin/trainings", Scope.ADMIN),
    ("GET", "/admin/trainings", Scope.ADMIN),
    ("GET", "/admin/trainings/00000000-0000-0000-0000-000000000000", Scope.ADMIN),
    ("DELETE", "/admin/trainings/00000000-0000-0000-0000-000000000000", Scope.ADMIN),
    ("GET", "/admin/models", Scope.ADMIN),
    ("POST", "/admin/models/v1/promote", Scope.ADMIN),
    ("POST", "/admin/keys", Scope.ADMIN),
    ("GET", "/admin/keys", Scope.ADMIN),
    ("DELETE", "/admin/keys/999", Scope.ADMIN),
    ("GET", "/admin/status", Scope.ADMIN),
]
"""A few of each scope; tests/app/api/test_isolation.py tries every route of the document."""


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
def test_every_route_wants_a_key_with_its_scope(shared: Service, method: str, path: str, scope: Scope) -> None:
    body = {"json": {}} if method in ("PUT", "POST", "PATCH") else {}
    for headers in ({"Authorization": ""}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eA=="}):
        answer = shared.client.request(method, path, headers=headers, **body)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["type"] == "/problems/not-authenticated"
    others = [other for other in Scope if other is not scope]
    answer = shared.client.request(method, path, headers=shared.headers(*others), **body)
    assert answer.status_code == 403
    assert answer.json() | {"detail": ""} == {
        "type": "/problems/scope-missing",
        "title": "Scope missing",
        "status": 403,
        "detail": "",
        "scope": scope,
    }
    allowed = shared.client.request(method, path, headers=shared.headers(scope), **body)
    assert allowed.status_code not in (401, 403)


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "BEARER   {}"])
def test_both_headers_and_any_case(shared: Service, form: str) -> None:
    headers = {"Authorization": form.format(shared.key)}
    assert shared.client.get("/admin/status", headers=headers).status_code == 200
    basic = {"Authorization": "Basic eA==", "X-API-Key": shared.key}
    assert shared.client.get("/admin/status", headers=basic).status_code == 200


@pytest.mark.parametrize("key", ["é", "\x7f", "x" * 5_000, "crs_" + "A" * 43, "' OR 1=1 --"])
def test_strange_keys_are_unknown_keys(shared: Service, key: str) -> None:
    headers = {"Authorization": b"Bearer " + key.encode("latin-1")}
    assert shared.client.get("/admin/status", headers=headers).status_code == 401


def test_a_key_is_made_shown_once_used_and_revoked(shared: Service) -> None:
    created = shared.client.post("/admin/keys", json={"name": "shop", "scopes": ["recommend"]})
    assert created.status_code == 201
    key = created.json()
    headers = {"X-API-Key": key["key"], "Authorization": ""}
    assert shared.client.get("/recommend/u", headers=headers).status_code == 200
    listed = shared.client.get("/admin/keys")
    assert key["key"] not in listed.text
    assert key["id"] in [one["id"] for one in listed.json()["keys"]]
    assert shared.client.delete(f"/admin/keys/{key['id']}").status_code == 204
    assert shared.client.get("/recommend/u", headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "", "scopes": ["admin"]}, "name"),
        ({"name": "x" * 101, "scopes": ["admin"]}, "name"),
        ({"name": "a\x00", "scopes": ["admin"]}, "name"),
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": "x", "scopes": ["root"]}, "scopes.0"),
        ({"scopes": ["admin"]}, "name"),
        ({"name": "x", "scopes": ["admin"], "project": 2}, "project"),
    ],
)
def test_a_wrong_key_names_its_field(shared: Service, body: dict[str, object], field: str) -> None:
    answer = shared.client.post("/admin/keys", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


def test_a_key_of_another_project_opens_nothing_here(shared: Service) -> None:
    shared.client.put("/items/mine", json={"title": "x"})
    (first, *_) = shared.client.get("/admin/keys").json()["keys"]
    other = client_of(shared, "walls")
    assert other.get("/items/mine").status_code == 404
    assert other.patch("/items/mine", json={"title": "y"}).status_code == 404
    assert other.delete("/items/mine").status_code == 404
    assert other.get("/items/mine/media/text").status_code == 404
    assert other.post("/items/mine/media/text", json={"text": "y"}).status_code == 404
    assert other.get("/items").json()["items"] == []
    assert other.delete(f"/admin/keys/{first['id']}").status_code == 404
    assert first["id"] not in [one["id"] for one in other.get("/admin/keys").json()["keys"]]
    assert other.put("/items/mine", json={"title": "theirs"}).status_code == 201
    assert shared.client.get("/items/mine").json()["title"] == "x"
    assert shared.client.get("/admin/status").status_code == 200


def test_a_cursor_of_another_project_shows_nothing_of_it(shared: Service) -> None:
    for number in range(3):
        shared.client.put(f"/items/c{number}", json={"title": "x"})
    cursor = shared.client.get("/items?limit=1").json()["next_cursor"]
    other = client_of(shared, "walls again")
    assert other.get("/items", params={"cursor": cursor}).json() == {"items": [], "next_cursor": None}


async def test_a_known_key_outlives_an_outage_of_the_database(light: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    authenticator = Authenticator(light.context.database, cache_s=0.0)
    principal = await authenticator.authenticate(light.key)

    def away(key: str) -> None:
        raise OperationalError("SELECT", {}, Exception("connection refused"))

    monkeypatch.setattr(authenticator, "_look_up", away)
    assert await authenticator.authenticate(light.key) == principal
    with pytest.raises(OperationalError):
        await authenticator.authenticate("crs_never_seen")
