"""What an encoder is, as plain data: enough to decode for it, to load it and to know its outputs."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

LOADERS: Mapping[str, frozenset[str]] = {
    "text": frozenset({"pooling", "dtype", "layers", "max_tokens", "prefix"}),
    "image": frozenset({"pooling", "dtype", "layers", "image_size"}),
    "audio": frozenset({"pooling", "dtype", "layers", "sample_rate", "seconds"}),
    "video": frozenset({"pooling", "dtype", "layers", "image_size", "frames"}),
    "frames": frozenset({"pooling", "dtype", "layers", "image_size", "frames"}),
}
"""The loaders, each with the options that change what it computes."""

_ALWAYS_READ = frozenset({"modality", "model", "revision", "loader", "batch_size"})
_NAMED_IF_SET = frozenset({"layers"})
"""Options that came after states had been stored: at their default they are not named, so that those states stay."""

_MAX_DEPTH = 1_024
_CHOICES: Mapping[str, frozenset[str]] = {
    "loader": frozenset(LOADERS),
    "pooling": frozenset({"auto", "mean", "cls", "last"}),
    "dtype": frozenset({"float32", "float16", "bfloat16", "int8"}),
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
        dtype: of the weights and of what is computed with them; a CPU takes float32 for float16, and pools, like every
            device, in float32. "int8" is for a CPU: linear layers in 8 bits, about half the time.
        layers: which hidden states are stored, ascending; 0 is the embeddings, -1 the last; None (or "all") is all.
            A method takes the first one stored for the embeddings, which it may not read.
        batch_size: samples in one forward pass, at most; it does not change the result.
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
    layers: tuple[int, ...] | None = None
    batch_size: int = 16

    def __post_init__(self) -> None:
        """Fills in the loader and checks every option.

        Raises:
            SpecError: an option is unknown to its field, out of range, or not read by the loader.
        """
        object.__setattr__(self, "loader", self.loader or self.modality)
        if isinstance(self.seconds, int):
            object.__setattr__(self, "seconds", float(self.seconds))
        object.__setattr__(self, "layers", _layers(self.layers))
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
        options = {field.name: getattr(self, field.name) for field in fields(self)}
        return options | {"layers": None if self.layers is None else list(self.layers)}

    def output_options(self) -> dict[str, Any]:
        """Returns what changes the output besides the weights: the loader and each option that it reads."""
        options = self.to_dict()
        named = {name for name in LOADERS[self.loader] if name not in _NAMED_IF_SET or options[name] is not None}
        # Half precision was once of the products alone; now the weights have it too, and the states are others.
        weights = {} if self.dtype == "float32" else {"weights": self.dtype}
        return {"loader": self.loader} | {name: options[name] for name in sorted(named)} | weights


def _layers(value: Any) -> tuple[int, ...] | None:
    """Reads the list of layers of a configuration.

    Raises:
        SpecError: it is not one.
    """
    if value is None or value == "all":
        return None
    if not isinstance(value, list | tuple) or not value or any(type(layer) is not int for layer in value):
        raise SpecError("layers", f"{value!r} is neither 'all' nor a list of layer numbers")
    if not all(-_MAX_DEPTH <= layer < _MAX_DEPTH for layer in value):
        raise SpecError("layers", f"{value!r} is outside {-_MAX_DEPTH}..{_MAX_DEPTH - 1}")
    for sign in ([layer for layer in value if layer >= 0], [layer for layer in value if layer < 0]):
        if sign != sorted(set(sign)):
            raise SpecError("layers", f"{value!r} is not ascending")
    return tuple(value)
