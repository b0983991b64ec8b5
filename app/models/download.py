"""A version as a zip that runs elsewhere, written while it is sent: it is never whole in memory or on disk."""

import zipfile
from collections.abc import Iterator
from io import RawIOBase
from pathlib import Path
from typing import Any

CHUNK_BYTES = 1 << 20

EXAMPLE = '''"""Recommends with a CROSSAN model version; needs numpy and onnxruntime, nothing else."""
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

folder = Path(__file__).parent
raw = (folder / "item_vectors.safetensors").read_bytes()
end = 8 + int.from_bytes(raw[:8], "little")
entry = json.loads(raw[8:end])["vectors"]
vectors = np.frombuffer(raw[slice(*(end + offset for offset in entry["data_offsets"]))], "<f4").reshape(entry["shape"])
ids = json.loads((folder / "item_ids.json").read_text("utf-8"))
longest = json.loads((folder / "manifest.json").read_text("utf-8"))["max_length"]
rows = [ids.index(item) for item in (sys.argv[1:] or ids[:3])][-longest:]  # what a user did, oldest first
encoder = onnxruntime.InferenceSession(folder / "user_encoder.onnx")
(user,) = encoder.run(["users"], {"sequences": vectors[rows][None], "lengths": np.array([len(rows)])})[0]
scores = vectors @ user
scores[rows] = -np.inf
for row in np.argsort(-scores)[:10]:
    print(ids[row], float(scores[row]))
'''

README = """CROSSAN model version {name}

python example.py [ITEM_ID ...]    what to recommend after these items; needs numpy and onnxruntime

manifest.json              method, hyperparameters, metrics, data cut, encoders, and the SHA-256 of each file
user_encoder.onnx          "sequences" float32 [b, s, d] (right-aligned, newest last), "lengths" int64 [b]
                           -> "users" float32 [b, d]; the score of an item is the inner product with its vector
item_tower.onnx            hidden states of an item -> its vector and the shares of the modalities; there is none
                           in a version that reads no content
item_vectors.safetensors   "vectors" float32 [n, d] and "shares" float32 [n, m], as of the training
item_ids.json              the n ids, in the order of the vectors
weights.safetensors        the weights of the network
encoder_*.safetensors      weights of encoders that the training has changed, if it has
"""


class _Sink(RawIOBase):
    """What has been written since it was last emptied; it cannot seek, so the zip never goes back."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any) -> int:
        """Keep a copy: the caller may use its buffer again."""
        part = bytes(data)
        self._parts.append(part)
        return len(part)

    def take(self) -> bytes:
        """Everything since the last time."""
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


def zip_chunks(folder: Path, name: str) -> Iterator[bytes]:
    """The bytes of a zip with every file of the artifact, the example and the readme; stored, not compressed.

    Args:
        folder: of the artifact.
        name: of the version.

    Raises:
        OSError: a file is missing, or has gone while the zip was being sent.
    """
    sink, root = _Sink(), f"crossan-{name}"
    files = sorted(path for path in folder.iterdir() if path.is_file())
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(f"{root}/README.txt", README.format(name=name))
        archive.writestr(f"{root}/example.py", EXAMPLE)
        for path in files:
            info = zipfile.ZipInfo.from_file(path, f"{root}/{path.name}")
            with path.open("rb") as source, archive.open(info, "w", force_zip64=True) as member:
                while chunk := source.read(CHUNK_BYTES):
                    member.write(chunk)
                    yield sink.take()
            yield sink.take()
    yield sink.take()
