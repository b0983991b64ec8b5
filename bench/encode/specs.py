"""Which encoders are measured: those of a folder, else those of the packages that carry weights."""

from dataclasses import replace
from pathlib import Path

from bench.measuring import Skipped
from model.encoders.offline import default_specs
from model.encoders.parts import model_type
from model.encoders.spec import EncoderSpec

TYPES = {"bert": ("text",), "dinov2": ("image", "video"), "whisper": ("audio",)}
"""Modalities that an architecture of the default set encodes."""


def specs_of(encoders: Path | None, cache_dir: Path) -> dict[str, EncoderSpec]:
    """One spec a modality, with the options of the default set.

    Args:
        encoders: a folder of Hugging Face folders of the same architectures; None for the packages.
        cache_dir: takes what the packages are turned into.

    Raises:
        Skipped: there are none that could be loaded without a hub.
    """
    specs = {spec.modality: spec for spec in default_specs(cache_dir / "encoders")}
    if encoders is not None:
        found = _found(encoders)
        specs = {name: replace(spec, model=str(found[name])) for name, spec in specs.items() if name in found}
    here = {name: spec for name, spec in specs.items() if Path(spec.model).is_dir()}
    if not here:
        raise Skipped("no encoders: install the extra 'offline-encoders', or name a folder by --encoders")
    return here


def _found(folder: Path) -> dict[str, Path]:
    configured = [path.parent for path in sorted(folder.glob("*/config.json"))]
    return {modality: path for path in configured for modality in TYPES.get(model_type(path), ())}
