"""What an encoder is, as plain data: enough to decode for it, to load it and to know its outputs."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

LOADERS: Mapping[str, frozenset[str]] = {
    "text": frozenset({"pooling", "dtype", "max_tokens", "prefix"}),
    "image": frozenset({"pooling", "dtype", "image_size"}),
    "audio": frozenset({"pooling", "dtype", "sample_rate", "seconds"}),
    "video": frozenset({"pooling", "dtype", "image_size", "frames"}),
    "frames": frozenset({"pooling", "dtype", "image_size", "frames"}),
}
"""The loaders, each with the options that change what it computes."""

_ALWAYS_READ = frozenset({"modality", "model", "revision", "loader", "batch_size"})
_CHOICES: Mapping[str, frozenset[str]] = {
    "loader": frozenset(LOADERS),
    "pooling": frozenset({"auto", "mean", "cls", "last"}),
    "dtype": frozenset({"float32", "float16", "bfloat16"}),
}
_RANGES: Mapping[str, tuple[type[int] | type[float], float, float]] = {
    "max_tokens": (int, 1, 32_768),
    "image_size": (int, 16, 2_048),
    "sample_rate": (int, 4_000, 192_000),
    "seconds": (float, 0.1, 600.0),
    "frames": (int, 1, 256),
    "batch_size": (int, 1, 4_096),
}


class SpecError(ValueError):
    """An encoder specification that cannot be used.

    Attributes:
        field: the name of the option at fault.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """One frozen encoder of one modality.

    Attributes:
        modality: the name items use for this kind of media; it also names the loader when it is a loader's name.
        model: a Hugging Face model id, or the path of a folder in the same format.
        loader: a key of `LOADERS`; empty means the modality's own name.
        revision: branch, tag or commit of a hub id.
        pooling: "mean" over real positions, "cls" for the first, "last" for the last real one (causal text models),
            "auto" for what suits the architecture.
        max_tokens: longest text, in tokens; the rest is cut.
        prefix: put before every text ("passage: " for E5).
        image_size: height and width of the encoder's input in pixels; None keeps the size of its preprocessor.
        sample_rate: of the audio handed to the encoder, in hertz.
        seconds: how much audio is used, from the start.
        frames: how many frames are sampled evenly from a video.
        dtype: precision on a CUDA device; a CPU always computes in float32.
        batch_size: samples in one forward pass; it does not change the result.
    """

    modality: str
    model: str
    loader: str = ""
    revision: str | None = None
    pooling: str = "auto"
    max_tokens: int = 128
    prefix: str = ""
    image_size: int | None = None
    sample_rate: int = 16_000
    seconds: float = 10.0
    frames: int = 8
    dtype: str = "float32"
    batch_size: int = 16

    def __post_init__(self) -> None:
        """Fills in the loader and checks every option.

        Raises:
            SpecError: an option is unknown to its field, out of range, or not read by the loader.
        """
        object.__setattr__(self, "loader", self.loader or self.modality)
        if isinstance(self.seconds, int):
            object.__setattr__(self, "seconds", float(self.seconds))
        for name in ("modality", "model"):
            if not getattr(self, name):
                raise SpecError(name, "must not be empty")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise SpecError(name, f"{getattr(self, name)!r} is not one of {', '.join(sorted(choices))}")
        for name, (kind, low, high) in _RANGES.items():
            self._check_number(name, kind, low=low, high=high)
        self._check_all_read()

    def _check_number(self, name: str, kind: type[int] | type[float], *, low: float, high: float) -> None:
        value = getattr(self, name)
        if value is None and name == "image_size":
            return
        if type(value) is not kind:
            raise SpecError(name, f"{value!r} is not of type {kind.__name__}")
        if not low <= value <= high:
            raise SpecError(name, f"{value} is outside {low}..{high}")

    def _check_all_read(self) -> None:
        read = LOADERS[self.loader] | _ALWAYS_READ
        for field in fields(self):
            if field.name not in read and getattr(self, field.name) != field.default:
                raise SpecError(field.name, f"the {self.loader!r} loader does not read it")

    @classmethod
    def from_dict(cls, options: Mapping[str, Any]) -> Self:
        """Builds a spec from configuration.

        Args:
            options: field names and their values.

        Raises:
            SpecError: a field is unknown, missing or has a value that cannot be used.
        """
        known = {field.name for field in fields(cls)}
        for name in options:
            if name not in known:
                raise SpecError(name, "no such option of an encoder")
        for name in ("modality", "model"):
            if name not in options:
                raise SpecError(name, "is required")
        return cls(**options)

    def to_dict(self) -> dict[str, Any]:
        """Returns every field by name, ready for JSON."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def output_options(self) -> dict[str, Any]:
        """Returns what changes the output besides the weights: the loader and each option that it reads."""
        return {"loader": self.loader} | {name: getattr(self, name) for name in sorted(LOADERS[self.loader])}
