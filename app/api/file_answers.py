"""Files as answers, a piece at a time."""

from collections.abc import Iterator
from typing import BinaryIO

from app.stores.blobs import CHUNK_BYTES


def pieces_of(file: BinaryIO) -> Iterator[bytes]:
    """Everything in the file, which is closed in the end."""
    with file:
        while piece := file.read(CHUNK_BYTES):
            yield piece
