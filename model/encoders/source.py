"""Finds the folder of an encoder and the fingerprint that its outputs are kept under."""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from model.encoders.spec import EncoderSpec, SpecError

CODE_VERSION = "1"
"""Raise it when the code of this package changes the hidden states of an unchanged encoder."""

_HUB_ID = re.compile(r"[\w][\w.-]*(/[\w][\w.-]*)?")
_CONTENT = ("*.json", "*.safetensors", "*.txt", "*.model")
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class EncoderSource:
    """Where an encoder's files are.

    Attributes:
        folder: holds config, weights, tokenizer and preprocessor settings.
        identity: the same for the same content, wherever it lies.
    """

    folder: Path
    identity: str


def locate(spec: EncoderSpec) -> EncoderSource:
    """Finds the files of an encoder, downloading a hub id once.

    Args:
        spec: names a folder or a hub id.

    Raises:
        SpecError: it is neither a folder nor a hub id that can be had.
    """
    folder = Path(spec.model).expanduser()
    if folder.is_dir():
        return EncoderSource(folder, _content_hash(folder))
    if not _HUB_ID.fullmatch(spec.model):
        raise SpecError("model", f"{spec.model!r} is not a folder")
    return _download(spec)


def fingerprint(spec: EncoderSpec, source: EncoderSource) -> str:
    """Returns the sha256 (hex) of everything that decides an encoder's output, device and batch size apart.

    Args:
        spec: the options.
        source: the files, from `locate`.
    """
    parts = {"code": CODE_VERSION, "options": spec.output_options(), "source": source.identity}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _content_hash(folder: Path) -> str:
    files = sorted({path for pattern in _CONTENT for path in folder.glob(pattern) if path.is_file()})
    if not any(path.name == "config.json" for path in files):
        raise SpecError("model", f"{folder} has no config.json")
    total = hashlib.sha256()
    for path in files:
        total.update(f"{path.name} {_file_hash(path)}\n".encode())
    return f"content:{total.hexdigest()}"


def _file_hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _download(spec: EncoderSpec) -> EncoderSource:
    from huggingface_hub import snapshot_download  # the API process has no use for it, nor the package

    try:
        folder = Path(
            snapshot_download(
                spec.model, revision=spec.revision, allow_patterns=list(_CONTENT), ignore_patterns=["*/*"]
            )
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise SpecError(
            "model", f"{spec.model!r} is neither a folder nor a model of the hub that can be had"
        ) from error
    return EncoderSource(folder, f"hub:{spec.model}@{folder.name}")
