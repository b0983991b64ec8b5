"""`/similar`: by item, by one modality, by upload, for a user."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from sqlalchemy import func, select

from app.api.deps import Edge
from app.core.config import Settings
from app.core.jobs import JobKind
from app.core.types import JobState, Scope
from app.db.tables import HiddenStatesRow, JobRow, MediaRow
from app.recommendations.similar_service import SimilarItems
from model.artifact import load_item_vectors
from model.runtime import ItemTower
from tests.fixtures import media
from tests.fixtures.fake_encoders import FakeEncoder, states_of
from tests.fixtures.service import Service, decode_here
from tests.fixtures.trained import ITEMS, client_of, histories, put_item


def folder_of(service: Service) -> Path:
    (training,) = service.client.get("/admin/trainings").json()["trainings"]
    return service.parts.artifacts.path(f"{service.project}/{training['id']}")


def similar(service: Service, item: str, **query: Any) -> dict[str, Any]:
    answer = service.client.get(f"/similar/{item}", params={"limit": 1_000, **query})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ids(answer: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in answer["items"]]


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def edge_of(service: Service) -> Edge:
    """What the routes of the process share."""
    app: Any = service.client.app
    edge: Edge = app.state.edge
    return edge


def in_loop(service: Service, function: Callable[..., Any], *args: Any) -> Any:
    """Call it where the routes run."""
    assert service.client.portal is not None
    return service.client.portal.call(function, *args)


@contextmanager
def working(service: Service) -> Iterator[None]:
    """A worker at the side."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.01):
            service.run_jobs()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_the_answer_is_in_the_documented_shape(trained: Service) -> None:
    for answer in (similar(trained, "i0"), similar(trained, "i1", by="image")):
        assert SimilarItems.model_validate(answer, strict=True).model_dump() == answer
        assert [item["rank"] for item in answer["items"]] == list(range(1, len(answer["items"]) + 1))


def test_by_item_it_is_the_exact_cosine_over_the_catalogue(trained: Service) -> None:
    names, vectors, shares = load_item_vectors(folder_of(trained))
    at = names.index("i3")
    expected = {name: cosine(vectors[at], vectors[row]) for row, name in enumerate(names) if name != "i3"}
    answer = similar(trained, "i3")
    assert answer["model_version"] == "v1"
    assert {item["item_id"]: item["score"] for item in answer["items"]} == pytest.approx(expected, abs=1e-5)
    scores = [item["score"] for item in answer["items"]]
    assert scores == sorted(scores, reverse=True)
    (item,) = [one for one in answer["items"] if one["item_id"] == "i4"]
    assert list(item["shares"].values()) == pytest.approx(shares[names.index("i4")].tolist())


def states_by_item(service: Service, modality: str) -> dict[str, np.ndarray]:
    """What the fake encoder has made of each item's medium, computed here from the stored bytes."""
    encoder = FakeEncoder(modality)
    found = {}
    for number in range(ITEMS):
        content = service.client.get(f"/items/i{number}/media/{modality}")
        if content.status_code == 200:
            (sample,) = decode_here(encoder.spec, [content.content])
            found[f"i{number}"] = states_of(sample, encoder.fingerprint)
    return found


def vectors_by(service: Service, modality: str, states: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The item tower's vectors of one modality alone."""
    tower = ItemTower(folder_of(service))
    present = np.tile([name == modality for name in tower.modalities], (len(states), 1))
    vectors, _ = tower.encode({modality: np.stack(list(states.values()))}, present)
    return dict(zip(states, vectors, strict=True))


def test_by_one_modality_it_is_the_tower_with_everything_else_masked(trained: Service) -> None:
    vectors = vectors_by(trained, "image", states_by_item(trained, "image"))
    assert set(vectors) == {f"i{number}" for number in range(ITEMS) if number % 3}
    expected = {name: cosine(vectors["i1"], vectors[name]) for name in vectors if name != "i1"}
    answer = similar(trained, "i1", by="image")
    assert {item["item_id"]: item["score"] for item in answer["items"]} == pytest.approx(expected, abs=1e-5)
    assert answer["items"][0]["shares"] is None


def test_vectors_by_modality_follow_the_catalogue(trained: Service) -> None:
    before = ids(similar(trained, "i1", by="image"))
    assert "i0" not in before
    trained.client.post("/items/i0/media/image", content=media.png(1))
    trained.client.delete("/items/i2")
    trained.run_jobs()
    trained.client.patch("/items/i5", json={"title": "so that the process looks again"})
    answer = similar(trained, "i1", by="image")
    assert answer["items"][0]["item_id"] == "i0", "the very same picture"
    assert answer["items"][0]["score"] == pytest.approx(1, abs=1e-5)
    assert set(ids(answer)) == (set(before) | {"i0"}) - {"i2"}


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/similar/nothing", 404, "item-not-found"),
        ("/similar/i0?by=image", 404, "media-not-found"),
        ("/similar/i0?by=smell", 404, "modality-not-read"),
        ("/similar/bare", 404, "vector-not-found"),
        ("/similar/i0?filter=year+%3C", 422, "invalid-request"),
        ("/similar/i0?limit=0", 422, "invalid-request"),
    ],
)
def test_what_cannot_be_compared_is_said(trained: Service, path: str, status: int, kind: str) -> None:
    put_item(trained, "bare", "not encoded yet")
    answer = trained.client.get(path)
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2].rpartition(":")[2]) == (status, kind)


def test_without_a_version_nothing_is_compared(light: Service) -> None:
    put_item(light, "i0", "harbour")
    assert light.client.get("/similar/i0").status_code == 409
    assert light.client.post("/similar", json={"text": "harbour"}).status_code == 409


def test_rules_apply(trained: Service) -> None:
    whole = ids(similar(trained, "i0"))
    trained.client.patch(f"/items/{whole[0]}", json={"available": False})
    trained.client.patch(f"/items/{whole[1]}", json={"categories": ["sea"], "attributes": {"year": 2024}})
    trained.client.patch(f"/items/{whole[2]}", json={"categories": ["sea"]})
    assert ids(similar(trained, "i0")) == whole[1:]
    assert ids(similar(trained, "i0", limit=2)) == whole[1:3]
    assert ids(similar(trained, "i0", categories="sea")) == whole[1:3]
    assert ids(similar(trained, "i0", filter="year = 2024")) == [whole[1]]
    assert ids(similar(trained, "i0", exclude=whole[1:4])) == whole[4:]


def post(service: Service, *, query: dict[str, Any] | None = None, **body: Any) -> dict[str, Any]:
    with working(service):
        answer = service.client.post("/similar", params={"limit": 1_000, **(query or {})}, **body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def expected_of_text(service: Service, text: str) -> dict[str, float]:
    encoder = FakeEncoder("text")
    query = vectors_by(service, "text", {"": states_of(text, encoder.fingerprint)})[""]
    names, vectors, _ = load_item_vectors(folder_of(service))
    return {name: cosine(query, vectors[row]) for row, name in enumerate(names)}


def left_behind(service: Service) -> tuple[int, list[str], int]:
    """Jobs, blobs of queries, and contents on the encoders' list."""
    root = Path(service.settings.blobs.removeprefix("file://"))
    with service.context.database.transaction() as transaction:
        jobs = transaction.session.scalars(select(func.count()).where(JobRow.kind == JobKind.QUERY)).one()
        contents = transaction.session.scalars(select(func.count()).select_from(HiddenStatesRow)).one()
    return jobs, [path.name for path in root.rglob("query-*")], contents


def test_a_text_nobody_has_sent_before_is_encoded_and_kept_nowhere(trained: Service) -> None:
    before = left_behind(trained)
    answer = post(trained, json={"text": "a boat in the night"})
    expected = expected_of_text(trained, "a boat in the night")
    assert {item["item_id"]: item["score"] for item in answer["items"]} == pytest.approx(expected, abs=1e-5)
    assert (answer["item_id"], answer["by"], answer["personalised"]) == (None, "text", False)
    assert left_behind(trained) == before == (0, [], before[2])


@pytest.mark.parametrize("how", ["raw", "multipart"])
def test_a_picture(trained: Service, how: str) -> None:
    picture = media.png(99)
    body: dict[str, Any] = {"content": picture} if how == "raw" else {"files": {"file": BytesIO(picture)}}
    answer = post(trained, query={"modality": "image"}, **body)
    encoder = FakeEncoder("image")
    (sample,) = decode_here(encoder.spec, [picture])
    states = states_of(sample, encoder.fingerprint)
    query = vectors_by(trained, "image", {"": states})[""]
    names, vectors, _ = load_item_vectors(folder_of(trained))
    expected = {name: cosine(query, vectors[row]) for row, name in enumerate(names)}
    assert {item["item_id"]: item["score"] for item in answer["items"]} == pytest.approx(expected, abs=1e-5)


def test_known_content_is_answered_without_a_worker(trained: Service, fakes: dict[str, FakeEncoder]) -> None:
    content = trained.client.get("/items/i4/media/text").text
    answer = trained.client.post("/similar", params={"limit": 1_000}, json={"text": content})
    assert answer.status_code == 200
    expected = expected_of_text(trained, content)
    assert {one["item_id"]: one["score"] for one in answer.json()["items"]} == pytest.approx(expected, abs=1e-5)
    assert fakes["text"].batches == []


def test_for_a_user_it_is_mixed_with_what_they_would_want(trained: Service) -> None:
    text = {"text": "a boat in the night"}
    alike = ids(post(trained, json=text))
    wanted = ids(trained.client.get("/recommend/u0", params={"limit": 1_000}).json())
    seen = set(histories()["u0"])
    answers = {weight: post(trained, json=text, query={"user_id": "u0", "personal": weight}) for weight in (0, 0.5, 1)}
    assert ids(answers[0]) == [item for item in alike if item not in seen]
    assert ids(answers[1]) == wanted
    assert [answers[weight]["personalised"] for weight in (0, 0.5, 1)] == [False, True, True]
    assert answers[0.5] | {"recommendation_id": ""} == post(trained, json=text, query={"user_id": "u0"}) | {
        "recommendation_id": ""
    }
    z = {weight: {one["item_id"]: one["score"] for one in answers[weight]["items"]} for weight in (0.5, 1)}
    raw = expected_of_text(trained, text["text"])
    left = np.array([raw[item] for item in wanted])
    for item, value in zip(wanted, (left - left.mean()) / left.std(), strict=True):
        assert z[0.5][item] == pytest.approx((value + z[1][item]) / 2, abs=1e-3)


def test_for_a_user_nothing_is_known_of_likeness_decides(trained: Service) -> None:
    text = {"text": "a boat in the night"}
    answer = post(trained, json=text, query={"user_id": "nobody"})
    assert (ids(answer), answer["personalised"]) == (ids(post(trained, json=text)), False)


def test_what_cannot_be_decoded_is_refused(trained: Service, fakes: dict[str, FakeEncoder]) -> None:
    broken = media.png(1)[:-40]
    with working(trained):
        answer = trained.client.post("/similar", params={"modality": "image"}, content=broken)
        fakes["text"].refuses = lambda sample: True
        refused = trained.client.post("/similar", json={"text": "whatever"})
    for one, modality in ((answer, "image"), (refused, "text")):
        assert one.status_code == 422, one.text
        assert one.json()["errors"][0]["field"] == modality
    assert left_behind(trained)[:2] == (0, [])
    assert trained.client.post("/similar", params={"modality": "image"}, content=b"no picture").status_code == 422
    assert trained.client.post("/similar", params={"modality": "smell"}, content=b"x").status_code == 404
    assert trained.client.post("/similar", json={"url": "https://somewhere.example/a.txt"}).status_code == 422


def test_without_a_worker_it_ends_in_time_and_nothing_is_left(trained: Service, monkeypatch: Any) -> None:
    monkeypatch.setattr(edge_of(trained).uploads, "_timeout_s", 0.1)
    answer = trained.client.post("/similar", json={"text": "a boat in the night"})
    assert (answer.status_code, answer.json()["timeout_s"]) == (504, 0.1)
    assert int(answer.headers["retry-after"]) > 0
    assert left_behind(trained)[:2] == (0, [])


def test_one_that_a_worker_is_at_when_the_time_is_over_leaves_nothing_either(
    trained: Service, monkeypatch: Any, fakes: dict[str, FakeEncoder]
) -> None:
    monkeypatch.setattr(edge_of(trained).uploads, "_timeout_s", 0.3)
    begun, go_on = threading.Event(), threading.Event()

    def slow(sample: object) -> bool:
        begun.set()
        return not go_on.wait(20)

    fakes["text"].refuses = slow
    with working(trained):
        answer = trained.client.post("/similar", json={"text": "a boat in the night"})
        assert begun.is_set()
        go_on.set()
    assert answer.status_code == 504
    assert left_behind(trained)[1] == []


def test_a_question_that_is_too_old_is_not_computed(trained: Service, fakes: dict[str, FakeEncoder]) -> None:
    trained.context.blobs.put(trained.project, "query-old", BytesIO(b"boat"))
    with trained.context.database.transaction() as transaction:
        row = JobRow(
            id=uuid4(),
            project_id=trained.project,
            kind=JobKind.QUERY,
            payload={"blob": "query-old", "modality": "text", "version_id": 1},
            created_at=func.now() - func.make_interval(0, 0, 0, 0, 1),
        )
        transaction.session.add(row)
    trained.run_jobs()
    assert fakes["text"].batches == []
    assert left_behind(trained)[1] == []
    with trained.context.database.transaction() as transaction:
        found = transaction.session.get(JobRow, row.id)
        assert found is not None
        assert (found.state, set(found.result or {})) == (JobState.SUCCEEDED, {"refused"})


def test_the_answer_is_recorded_and_is_no_list_to_go_on_with(trained: Service) -> None:
    answer = similar(trained, "i3", by="text", limit=3)
    uploaded = post(trained, json={"text": "boat"}, query={"user_id": "u0"})
    recorded = edge_of(trained).answers
    by_item = in_loop(trained, recorded.find, trained.project, _uuid(answer))
    assert by_item.scenario == "similar"
    assert by_item.options["similar"] == {"item_id": "i3", "by": "text", "personal": 0.0}
    assert [item.item_id for item in by_item.items] == ids(answer)
    by_upload = in_loop(trained, recorded.find, trained.project, _uuid(uploaded))
    assert (by_upload.user_id, by_upload.options["similar"]["personal"]) == ("u0", 0.5)
    assert by_upload.history.count == len(histories()["u0"])
    for one in (answer, uploaded):
        assert trained.client.get(f"/recommend/next/{one['recommendation_id']}").status_code == 404


def _uuid(answer: dict[str, Any]) -> UUID:
    return UUID(answer["recommendation_id"])


def test_projects_do_not_see_each_others_items_or_contents(trained: Service, fakes: dict[str, FakeEncoder]) -> None:
    other = client_of(trained, "other")
    other.put("/items/theirs", json={"title": "theirs"})
    assert other.get("/similar/i0").status_code == 409
    assert other.post("/similar", json={"text": "boat"}).status_code == 409
    assert "theirs" not in ids(similar(trained, "i0"))
    assert trained.client.get("/similar/theirs").status_code == 404


def test_the_scope_is_that_of_recommendations(trained: Service) -> None:
    for scope, status in ((Scope.RECOMMEND, 200), (Scope.INGEST, 403), (Scope.ADMIN, 403)):
        assert trained.client.get("/similar/i0", headers=trained.headers(scope)).status_code == status


def test_media_of_items_are_left_alone_by_queries(trained: Service, trained_settings: Settings) -> None:
    with trained.context.database.transaction() as transaction:
        before = transaction.session.scalars(select(func.count()).select_from(MediaRow)).one()
    content = trained.client.get("/items/i4/media/image").content
    post(trained, query={"modality": "image"}, content=content)
    assert trained.client.get("/items/i4/media/image").content == content
    with trained.context.database.transaction() as transaction:
        assert transaction.session.scalars(select(func.count()).select_from(MediaRow)).one() == before
