"""Encoders of live versions: found, kept, and let go."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from torch import OutOfMemoryError

from app.core.types import ProjectId
from app.items.encoding import FrozenEncoder, OwnEncoder
from model.artifact import ArtifactError
from model.encoders.base import EncoderError
from model.encoders.spec import EncoderSpec
from model.options import ConfigError
from tests.fixtures.experiments import end_experiment, run_experiment
from tests.fixtures.fake_encoders import FakeEncoder
from tests.fixtures.own_encoders import change_encoders
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
    change_encoders(service, {name: f"{name} changed" for name in names})


def load(encoders: Sequence[OwnEncoder]) -> list[FrozenEncoder | None]:
    return [encoder.load() for encoder in encoders]


def cache(service: Service, fakes: dict[str, FakeEncoder]) -> LiveEncoderCache:
    context = service.context
    return LiveEncoderCache(context.database, context.artifacts, in_charge=fakes, device="cpu")


def test_a_version_without_any(trained: Service, fakes: dict[str, FakeEncoder], loads: list[Any]) -> None:
    assert cache(trained, fakes).of(trained.project) == []
    assert cache(trained, fakes).of(ProjectId(999)) == []
    assert loads == []


def test_they_are_loaded_once_and_when_needed_from_where_their_base_lies_now(
    trained: Service, fakes: dict[str, FakeEncoder], loads: list[Any]
) -> None:
    with_own_encoders(trained, "image")
    found = cache(trained, fakes)
    assert [(own.modality, own.fingerprint) for own in found.of(trained.project)] == [("image", "image changed")]
    assert loads == []
    for _ in range(2):
        (encoder,) = load(found.of(trained.project))
        assert encoder is not None
        assert encoder.spec.modality == "image"
    assert loads == [("image", fakes["image"].spec)]
    strangers = cache(trained, {"image": FakeEncoder("image", version="another")})
    load(strangers.of(trained.project))
    assert loads[1:] == [("image", None)]


def test_the_longest_unused_goes_first(
    trained: Service, fakes: dict[str, FakeEncoder], loads: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_encoders, "KEPT", 1)
    with_own_encoders(trained, "text", "image")
    text, image = (found := cache(trained, fakes)).of(trained.project)
    for own in (text, text, image, image, text):
        own.load()
    assert [modality for modality, _ in loads] == ["text", "image", "text"]
    assert len(found._loaded) == 1


def test_those_of_a_version_that_serves_no_more_are_let_go(
    trained: Service, fakes: dict[str, FakeEncoder], loads: list[Any]
) -> None:
    with_own_encoders(trained, "text", "image")
    found = cache(trained, fakes)
    load(found.of(trained.project))
    elsewhere = FakeEncoder("text", version="of another project")
    found._loaded[ProjectId(999), "text changed"] = elsewhere
    trained.train(promote="always")
    assert found.of(trained.project) == []
    assert list(found._loaded.values()) == [elsewhere]


@pytest.mark.parametrize(
    "fault",
    [
        ArtifactError("encoder_text.safetensors: missing"),
        EncoderError("not the encoder it was"),
        ConfigError("lora_rank", "no such option"),
        KeyError("lora"),
        OSError("no such folder"),
        OutOfMemoryError("CUDA out of memory"),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_one_that_cannot_be_loaded_leaves_the_others(
    trained: Service, fakes: dict[str, FakeEncoder], monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    with_own_encoders(trained, "text", "image")

    def fail(folder: Path, manifest: Any, modality: str, **options: Any) -> FakeEncoder:
        if modality == "text":
            raise fault
        return FakeEncoder(modality)

    monkeypatch.setattr(live_encoders, "load_adapted", fail)
    text, image = load(cache(trained, fakes).of(trained.project))
    assert text is None
    assert image is not None


def test_those_of_versions_beside_the_live_one_are_kept_too(
    trained: Service, fakes: dict[str, FakeEncoder], loads: list[Any]
) -> None:
    trained.train(promote="never")
    change_encoders(trained, {"text": "text changed"})
    change_encoders(trained, {"text": "text changed", "image": "image changed"}, version=2)
    found = cache(trained, fakes)
    assert [own.fingerprint for own in found.of(trained.project)] == ["text changed"]
    number = run_experiment(trained, "v1", "v2")
    both = found.of(trained.project)
    assert {own.fingerprint for own in both} == {"text changed", "image changed"}
    load(both)
    assert sorted(modality for modality, _ in loads) == ["image", "text"], "the one they share is loaded once"
    end_experiment(trained, number)
    found.of(trained.project)
    assert list(found._loaded) == [(trained.project, "text changed")]
