"""An encoder specification is checked when it is made."""

from __future__ import annotations

import json
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


@pytest.mark.parametrize("layers", [[], "last", [1.0], [True], [2, 1], [0, 0], [-1, -2], 3, [5_000]])
def test_what_is_no_list_of_layers_is_refused(layers: Any) -> None:
    with pytest.raises(SpecError) as caught:
        EncoderSpec.from_dict({"modality": "text", "model": "m", "layers": layers})
    assert caught.value.field == "layers"


def test_layers_come_from_json_and_go_back() -> None:
    spec = EncoderSpec.from_dict(json.loads('{"modality": "text", "model": "m", "layers": [0, 8, -1]}'))
    assert spec.layers == (0, 8, -1)
    assert EncoderSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    assert EncoderSpec.from_dict({"modality": "text", "model": "m", "layers": "all"}) == EncoderSpec("text", "m")


@pytest.mark.parametrize(
    ("loader", "named"),
    [
        ("text", {"pooling": "auto", "dtype": "float32", "max_tokens": 128, "prefix": ""}),
        ("image", {"pooling": "auto", "dtype": "float32", "image_size": None}),
        ("audio", {"pooling": "auto", "dtype": "float32", "sample_rate": 16_000, "seconds": 10.0}),
        ("video", {"pooling": "auto", "dtype": "float32", "image_size": None, "frames": 8}),
        ("frames", {"pooling": "auto", "dtype": "float32", "image_size": None, "frames": 8}),
    ],
)
def test_options_that_came_later_are_named_only_when_they_are_set(loader: str, named: dict[str, Any]) -> None:
    # These very names are in the fingerprints of states that have been stored; one more would have all made again.
    assert EncoderSpec("m", "m", loader=loader).output_options() == {"loader": loader} | named
    chosen = EncoderSpec("m", "m", loader=loader, layers=(0, -1), dtype="bfloat16").output_options()
    assert chosen == {"loader": loader} | named | {"layers": [0, -1], "dtype": "bfloat16", "weights": "bfloat16"}
