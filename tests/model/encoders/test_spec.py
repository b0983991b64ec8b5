"""An encoder specification is checked when it is made."""

from __future__ import annotations

from typing import Any

import pytest

from model.encoders.spec import EncoderSpec, SpecError


def test_the_modality_names_the_loader() -> None:
    assert EncoderSpec("audio", "m").loader == "audio"
    assert EncoderSpec("poster", "m", loader="image").loader == "image"


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("loader", {"modality": "smell", "model": "m"}),
        ("model", {"modality": "text", "model": ""}),
        ("model", {"modality": "text"}),
        ("pooling", {"modality": "text", "model": "m", "pooling": "max"}),
        ("max_tokens", {"modality": "text", "model": "m", "max_tokens": 0}),
        ("max_tokens", {"modality": "text", "model": "m", "max_tokens": "many"}),
        ("frames", {"modality": "text", "model": "m", "frames": 4}),
        ("seconds", {"modality": "audio", "model": "m", "seconds": float("inf")}),
        ("batch_size", {"modality": "audio", "model": "m", "batch_size": True}),
        ("colour", {"modality": "image", "model": "m", "colour": "red"}),
    ],
)
def test_the_field_at_fault_is_named(field: str, options: dict[str, Any]) -> None:
    with pytest.raises(SpecError) as caught:
        EncoderSpec.from_dict(options)
    assert caught.value.field == field


def test_a_spec_survives_its_dictionary() -> None:
    spec = EncoderSpec("video", "m", loader="frames", frames=4, image_size=112, revision="abc")
    assert EncoderSpec.from_dict(spec.to_dict()) == spec


def test_whole_seconds_are_the_same_seconds() -> None:
    assert EncoderSpec("audio", "m", seconds=5) == EncoderSpec("audio", "m", seconds=5.0)
    assert isinstance(EncoderSpec("audio", "m", seconds=5).seconds, float)
