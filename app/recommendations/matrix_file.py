"""The file of a version's item vectors that API processes map, so that they share its memory (ADR 0010).

A page of header, then four arrays, each from a page of its own on: `pks` [capacity] int64, `present` [capacity] bool,
`shares` [capacity, m] and `values` [capacity, d] float32. Rows past `rows` were never written: the file is sparse
there, and a process that maps it has room to grow.
"""

import json
import mmap
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from app.recommendations.vectors import VectorArrays

PAGE = 4_096
MAGIC = b"CROSSAN item vectors 1\n"
CHUNK_BYTES = 1 << 24
"""Of what a checksum is made in one go."""


class DamagedMatrix(Exception):
    """A file that is not what its header says, or has none."""


@dataclass(frozen=True)
class MatrixHeader:
    """What a file holds.

    Attributes:
        origin: of which version of which database.
        start: transaction from which on changes are not in it.
        rows: in use.
        capacity: rows there is room for.
        width: d.
        modalities: m.
        checksum: of the rows in use.
    """

    origin: str
    start: int
    rows: int
    capacity: int
    width: int
    modalities: int
    checksum: int = 0

    def places(self) -> list[tuple[np.dtype[Any], tuple[int, ...], int]]:
        """Type, shape and first byte of each array: numbers of the items, presence, shares, values."""
        columns = {"pks": (np.int64, ()), "present": (np.bool_, ()), "shares": (np.float32, (self.modalities,))}
        columns["values"] = (np.float32, (self.width,))
        found, place = [], PAGE
        for kind, of_row in columns.values():
            found.append((np.dtype(kind), (self.capacity, *of_row), place))
            place += -(-_bytes(found[-1][0], found[-1][1]) // PAGE) * PAGE
        return found

    @property
    def size_bytes(self) -> int:
        """Length of the file; what it takes on the disk is less, since rows that are not in use take nothing."""
        kind, shape, place = self.places()[-1]
        return place + _bytes(kind, shape)

    def encode(self) -> bytes:
        """The first page."""
        text = json.dumps(asdict(self)).encode()
        return (MAGIC + b"%08x\n" % zlib.crc32(text) + text + b"\n").ljust(PAGE, b"\0")

    @classmethod
    def decode(cls, page: bytes) -> "MatrixHeader":
        """Raises DamagedMatrix."""
        checksum, _, rest = page.removeprefix(MAGIC).partition(b"\n")
        text = rest.partition(b"\n")[0]
        if not page.startswith(MAGIC) or checksum != b"%08x" % zlib.crc32(text):
            raise DamagedMatrix("its header is damaged")
        return cls(**json.loads(text))


@dataclass(frozen=True)
class Matrix:
    """Item vectors with the numbers of their items.

    Attributes:
        start: transaction from which on changes are not in it.
        pks: numbers of the items in the database [n].
        arrays: their vectors, with room for more rows.
    """

    start: int
    pks: NDArray[np.int64]
    arrays: VectorArrays

    @classmethod
    def empty(cls, start: int, pks: NDArray[np.int64], *, width: int, modalities: int) -> "Matrix":
        """Without vectors yet, in memory of this process's own."""
        return cls(start, pks, VectorArrays.empty(len(pks), width=width, modalities=modalities))

    def put(self, pks: NDArray[np.int64], vectors: NDArray[np.float32], shares: NDArray[np.float32]) -> None:
        """Write vectors [k, d] and shares [k, m] of items [k], all different; those that it has not are left out."""
        rows, known = rows_of(pks, self.pks)
        self.arrays.values[rows], self.arrays.shares[rows] = vectors[known], shares[known]
        self.arrays.present[rows] = True

    def begins(self, pks: NDArray[np.int64]) -> bool:
        """Whether the given items begin with its own."""
        return len(self.pks) <= len(pks) and np.array_equal(self.pks, pks[: len(self.pks)])

    def in_rows_of(self, pks: NDArray[np.int64]) -> VectorArrays:
        """The vectors in the rows of the given items: its own arrays where these begin with its items, or copies."""
        if self.begins(pks):
            return self.arrays
        places, known = rows_of(pks, self.pks)
        width, modalities = self.arrays.values.shape[1], self.arrays.shares.shape[1]
        copies = VectorArrays.empty(len(pks), width=width, modalities=modalities)
        for copy, own in zip(copies.all, self.arrays.all, strict=True):
            copy[known] = own[places]
        return copies


def _bytes(kind: np.dtype[Any], shape: tuple[int, ...]) -> int:
    return kind.itemsize * int(np.prod(shape))


def rows_of(wanted: NDArray[np.int64], held: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Places in `held` of those of the wanted numbers that are there, and their places in `wanted`."""
    order = np.argsort(held, kind="stable")
    places = np.searchsorted(held, wanted, sorter=order)
    known = np.flatnonzero(places < len(held))
    rows = order[places[known]]
    found = held[rows] == wanted[known]
    return rows[found], known[found]


@contextmanager
def new_matrix(path: Path, header: MatrixHeader, pks: NDArray[np.int64]) -> Iterator[Matrix]:
    """A matrix to be filled, written next to its place and moved there in the end: nobody ever sees a part of one.

    Args:
        path: its place; whoever has mapped what was there before goes on reading that.
        header: its shape; the checksum is found out.
        pks: numbers of its items [rows].

    Raises:
        OSError: when the disk is full, or the folder can't be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with scratch.open("w+b") as file:
            _reserve(file, header)
            matrix, memory = _matrix(file, header, mmap.ACCESS_WRITE)
            matrix.pks[:] = pks
            yield matrix
            memory.flush()
            os.pwrite(file.fileno(), replace(header, checksum=_checksum(matrix)).encode(), 0)
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def _reserve(file: BinaryIO, header: MatrixHeader) -> None:
    """Have the disk's promise before anything is mapped: a full one is an error now, and later a killed process."""
    os.ftruncate(file.fileno(), header.size_bytes)
    if not hasattr(os, "posix_fallocate"):  # macOS: nothing can be promised there
        return
    for kind, shape, place in header.places():
        length = _bytes(kind, (header.rows, *shape[1:]))
        if length:
            os.posix_fallocate(file.fileno(), place, length)


def _matrix(file: BinaryIO, header: MatrixHeader, access: int) -> tuple[Matrix, mmap.mmap]:
    memory = mmap.mmap(file.fileno(), header.size_bytes, access=access)
    pks, present, shares, values = (
        np.frombuffer(memory, kind, int(np.prod(shape)), place).reshape(shape) for kind, shape, place in header.places()
    )
    return Matrix(header.start, pks[: header.rows], VectorArrays(values, shares, present)), memory


def _checksum(matrix: Matrix) -> int:
    checksum = 0
    for array in (matrix.pks, *matrix.arrays.all):
        raw = array[: len(matrix.pks)].reshape(-1).view(np.uint8)
        for start in range(0, len(raw), CHUNK_BYTES):
            checksum = zlib.crc32(raw[start : start + CHUNK_BYTES].data, checksum)
    return checksum


def map_matrix(path: Path, *, origin: str) -> Matrix:
    """Map a file: what a process writes into it stays its own, all else is shared with every process that maps it.

    Raises:
        DamagedMatrix: it is not whole, or of another version or database.
        OSError: it is not there, or can't be read.
    """
    with path.open("rb") as file:
        header = MatrixHeader.decode(file.read(PAGE))
        if header.origin != origin:
            raise DamagedMatrix("it is of another version or database")
        if os.fstat(file.fileno()).st_size != header.size_bytes:
            raise DamagedMatrix("it has another size than its header says")
        matrix, _ = _matrix(file, header, mmap.ACCESS_COPY)
    if _checksum(matrix) != header.checksum:
        raise DamagedMatrix("its content is damaged")
    return matrix
