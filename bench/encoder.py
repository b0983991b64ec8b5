"""The user encoder as it is served, beside torch eager, and in 8 bits beside fp32: one thread, nothing but the call."""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bench.measuring import Figure, Options, compare
from bench.serve.artifact import export_random
from model.artifact import USER_ENCODER
from model.export import restore
from model.runtime import UserEncoder, open_session

LENGTH = 50
WIDTH, WIDE = 64, 256
USERS = 32
CALLS, QUICK_CALLS = 300, 60
MICRO = 1e6

Sequences = list[NDArray[np.float32]]


def measure(options: Options) -> Iterator[tuple[str, Figure]]:
    """Yield the figures; each is the time of a call, in microseconds."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        if options.wants("user_encoder", "user_encoder_batch32"):
            yield from _against_torch(options)
        if options.wants("user_encoder_int8"):
            yield "user_encoder_int8", _against_fp32(options)
    finally:
        torch.set_num_threads(before)


def _against_torch(options: Options) -> Iterator[tuple[str, Figure]]:
    """One user of full length; then users of any length, together and beside one call for each of them."""
    with tempfile.TemporaryDirectory() as folder:
        export_random(Path(folder), width=WIDTH, max_length=LENGTH)
        served, eager = UserEncoder(Path(folder)), _eager(Path(folder))
    one = _sequences([LENGTH])
    if options.wants("user_encoder"):
        yield "user_encoder", _compare(lambda: _alone(served.encode, one), lambda: _alone(eager, one), options)
    rng = np.random.default_rng(0)
    many = _sequences(rng.integers(1, 2 * LENGTH, USERS).clip(max=LENGTH).tolist())
    if options.wants("user_encoder_batch32"):
        batched = _compare(lambda: served.encode_many(many), lambda: _alone(served.encode, many), options, each=USERS)
        yield "user_encoder_batch32", batched


def _against_fp32(options: Options) -> Figure:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        export_random(folder, width=WIDE, max_length=LENGTH)
        served, session = UserEncoder(folder), open_session(folder / USER_ENCODER)
    if not served.is_int8:
        raise RuntimeError("the encoder in 8 bits was refused, so there is nothing to measure")
    one = _sequences([LENGTH], WIDE)

    def exact(sequences: NDArray[np.float32], lengths: NDArray[np.int64]) -> None:
        session.run(["users"], {"sequences": sequences, "lengths": lengths})

    return _compare(lambda: _alone(served.encode, one), lambda: _alone(exact, one), options)


def _eager(folder: Path) -> Callable[[NDArray[np.float32], NDArray[np.int64]], None]:
    """The same encoder in torch, computing no more than the last position needs either."""
    encoding = restore(folder).encoding

    def encode(sequences: NDArray[np.float32], lengths: NDArray[np.int64]) -> None:
        with torch.inference_mode():
            encoding.last(torch.from_numpy(sequences), torch.from_numpy(lengths)).numpy()

    return encode


def _sequences(lengths: list[int], width: int = WIDTH) -> Sequences:
    rng = np.random.default_rng(0)
    return [rng.standard_normal((length, width), dtype=np.float32) for length in lengths]


def _alone(encode: Callable[[NDArray[np.float32], NDArray[np.int64]], object], sequences: Sequences) -> None:
    for one in sequences:
        encode(one[None], np.array([len(one)], np.int64))


def _compare(figure: Callable[[], object], floor: Callable[[], object], options: Options, *, each: int = 1) -> Figure:
    """Compare microseconds of a call for each user."""
    calls = max((QUICK_CALLS if options.quick else CALLS) // each, 1)
    clock = time.thread_time if options.by_cpu else time.perf_counter

    def timed(call: Callable[[], object]) -> float:
        began = clock()
        for _ in range(calls):
            call()
        return (clock() - began) / calls / each * MICRO

    timed(figure), timed(floor)  # what a first call prepares is not measured
    return compare(lambda: timed(figure), lambda: timed(floor), runs=options.runs)
