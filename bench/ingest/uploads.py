"""Large videos: streamed through the API into the blob store, or hashed and copied to a file beside it."""

import hashlib
import itertools
import os
import struct
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from PIL import Image

from app.demo.encode import write_mp4
from bench.ingest.posting import PIECE_BYTES, head_of, post_all, post_stream
from bench.ingest.world import IngestWorld

MB = 1e6
EDGE, FRAMES = 64, 8


class UploadLoad:
    """Makes another video at each call: a short one, and a box behind it that readers skip (ISO 14496-12, `free`).

    Args:
        world: takes it in.
        size_bytes: of the box.
    """

    def __init__(self, world: IngestWorld, *, size_bytes: int) -> None:
        self.growth_mb = 0.0
        """By how much the resident memory of the server has grown since it was warm, at most."""
        self._world = world
        self._size_bytes = size_bytes
        self._numbers = itertools.count()
        self._process = psutil.Process(world.server.pid)
        self._before = 0
        self._video = _short_video()

    def warm_up(self) -> None:
        """Make the item, and upload a first one."""
        url = self._world.server.url
        body = b'{"item_id": "video", "title": "bench"}'
        headers = {**self._world.headers, "Content-Type": "application/json"}
        post_all(url, [head_of(url, "/items", headers, len(body)) + body], 1)
        self.upload_mb_per_s()
        self._before = self._process.memory_info().rss
        self.growth_mb = 0.0

    def upload_mb_per_s(self) -> float:
        """Megabytes a second through the API, until it says that the video is kept."""
        url, size = self._world.server.url, len(self._video) + 8 + self._size_bytes
        headers = {**self._world.headers, "Content-Type": "application/octet-stream"}
        posted = post_stream(url, head_of(url, "/items/video/media/video", headers, size), self._pieces())
        self.growth_mb = max(self.growth_mb, (self._process.memory_info().rss - self._before) / MB)
        return size / MB / posted.seconds

    def copy_mb_per_s(self) -> float:
        """Megabytes a second by hashing and writing the same bytes, until they would survive a power cut."""
        size = len(self._video) + 8 + self._size_bytes
        started = time.perf_counter()
        digest = hashlib.sha256()
        with tempfile.NamedTemporaryFile(dir=self._world.settings.data_dir) as copy:
            for piece in self._pieces():
                digest.update(piece)
                copy.write(piece)
            copy.flush()
            os.fsync(copy.fileno())
        return size / MB / (time.perf_counter() - started)

    def _pieces(self) -> Iterator[bytes]:
        yield self._video
        yield struct.pack(">I4s", self._size_bytes + 8, b"free")
        piece = hashlib.sha256(str(next(self._numbers)).encode()).digest() * (PIECE_BYTES // 32)
        for _ in range(self._size_bytes // PIECE_BYTES):
            yield piece


def _short_video() -> bytes:
    pictures = [Image.new("RGB", (EDGE, EDGE), (16 * number, 90, 120)) for number in range(FRAMES)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "short.mp4"
        write_mp4(path, pictures, EDGE)
        return path.read_bytes()
