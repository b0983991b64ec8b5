"""Encoders of live versions: found, kept, and let go."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.core.types import ProjectId
from app.stores.artifacts import ArtifactStore
from model.artifact import ArtifactError, ModalityManifest
from model.encoders.spec import EncoderSpec
from tests.fixtures.fake_encoders import FakeEncoder
from tests.fixtures.service import Service
from worker import live_encoders
from worker.live_encoders import LiveEncoderCache


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, EncoderSpec | None]]:
    """What is loaded, by modality, and from where; without a network."""
    found: list[tuple[str, EncoderSpec | None]] = []

    def load(folder: Path, manifest: Any, modality: str, *, device: str, spec: EncoderSpec | None) -> FakeEncoder:
        found.append((modality, spec))
        return FakeEncoder(modality, version=f"of {folder.name}")

    monkeypatch.setattr(live_encoders, "load_adapted", load)
    return found


def with_own_encoders(service: Service, *names: str) -> None:
    """As if the live version had changed the encoders of these modalities, from those in charge."""
    (version,) = service.client.get("/admin/models").json()["models"]
    with service.context.database.transaction() as transaction:
        row = live_encoders.ModelRepository(transaction, service.project).by_number(int(version["version"][1:]))
        assert row is not None
        path = service.context.artifacts.path(row.artifact) / "manifest.json"
        raw = json.loads(path.read_text())
        for entry in raw["modalities"]:
            if entry["name"] in names:
                entry |= {"base": entry["encoder"], "encoder": f"{entry['name']} changed"}
        path.write_text(json.dumps(raw))
        row.manifest = raw


def cache(service: Service, fakes: dict[str, FakeEncoder]) -> LiveEncoderCache:
    context = service.context
    return LiveEncoderCache(context.database, context.artifacts, in_charge=fakes, device="cpu")


def test_a_version_without_any(trained: Service, fakes: dict[str, FakeEncoder], loads: list[Any]) -> None:
    assert cache(trained, fakes).of(trained.project) is None
    assert cache(trained, fakes).of(ProjectId(999)) is None
    assert loads == []


def test_they_are_loaded_once_from_where_their_base_lies_now(
    trained: Service, fakes: dict[str, FakeEncoder], loads: list[Any]
) -> None:
    with_own_encoders(trained, "image")
    found = cache(trained, fakes)
    for _ in range(2):
        live = found.of(trained.project)
        assert live is not None
        assert [encoder.spec.modality for encoder in live.encoders] == ["image"]
    assert loads == [("image", fakes["image"].spec)]
    strangers = cache(trained, {"image": FakeEncoder("image", version="another")})
    assert strangers.of(trained.project) is not None
    assert loads[1:] == [("image", None)]


def test_the_longest_unused_goes_first(loads: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(live_encoders, "KEPT", 2)
    database: Any = None
    found = LiveEncoderCache(database, ArtifactStore(tmp_path), in_charge={}, device="cpu")
    entries = [ModalityManifest(name, 8, 3, (2,), encoder=name, base="x") for name in ("text", "image", "audio")]
    manifest: Any = None
    for entry in (entries[0], entries[1], entries[0], entries[2], entries[0], entries[1]):
        found._encoder("folder", manifest, entry)
    assert [modality for modality, _ in loads] == ["text", "image", "audio", "image"]


def test_while_they_cannot_be_loaded_the_rest_of_the_work_goes_on(
    trained: Service, fakes: dict[str, FakeEncoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_own_encoders(trained, "text")

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise ArtifactError("encoder_text.safetensors: missing")

    monkeypatch.setattr(live_encoders, "load_adapted", fail)
    assert cache(trained, fakes).of(trained.project) is None
