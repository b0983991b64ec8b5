"""A bad medium costs itself and nothing else, whatever it does to the process that decodes it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
import pytest

from model.encoders.decode import DecodeLimits, MediaError, decode
from model.encoders.decode_pool import DecodePool
from model.encoders.spec import EncoderSpec
from tests.fixtures import media
from tests.model.encoders import misbehaving_child

TEXT = EncoderSpec("text", "m")
IMAGE = EncoderSpec("image", "m")
MEMORY_BYTES = 1 << 30


@pytest.fixture(scope="module")
def pool() -> Iterator[DecodePool]:
    child = misbehaving_child.__name__
    with DecodePool(2, DecodeLimits(), 1.0, MEMORY_BYTES, child_module=child) as pool:
        yield pool


def _reason(outcome: object) -> str:
    assert isinstance(outcome, MediaError)
    return outcome.reason


def test_samples_are_those_of_decode(pool: DecodePool) -> None:
    for spec, data in (
        (IMAGE, media.jpeg()),
        (EncoderSpec("audio", "m"), media.ogg()),
        (EncoderSpec("video", "m", loader="frames"), media.mp4()),
    ):
        (sample,) = pool.decode_all(spec, [data])
        expected = decode(spec, data, DecodeLimits())
        assert sample.dtype == expected.dtype
        assert np.array_equal(sample, expected)
        assert sample.flags.writeable
    assert pool.decode_all(TEXT, ["Grüße".encode()]) == ["Grüße"]


def test_order_is_kept_and_bad_media_stay_alone(pool: DecodePool) -> None:
    outcomes = pool.decode_all(TEXT, [b"one", b"crash", b"two", b"\xff", b"talk", b"", b"three"])
    assert [outcome for outcome in outcomes if isinstance(outcome, str)] == ["one", "two", "talk", "three"]
    assert _reason(outcomes[1]) == "the decoder crashed"
    assert "not UTF-8" in _reason(outcomes[3])
    assert _reason(outcomes[5]) == "the file is empty"


def test_a_hanging_decoder_is_ended(pool: DecodePool) -> None:
    start = time.monotonic()
    outcomes = pool.decode_all(TEXT, [b"hang", b"next"])
    assert _reason(outcomes[0]) == "it took longer than 1 s"
    assert outcomes[1] == "next"
    assert time.monotonic() - start < 10.0


def test_children_are_confined(pool: DecodePool) -> None:
    modules, variables, written = pool.decode_all(TEXT, [b"modules", b"variables", b"write"])
    assert "torch" not in _reason(modules).split()
    assert "transformers" not in _reason(modules).split()
    assert not {"HOME", "CROSSAN_DATABASE_URL"} & set(_reason(variables).split())
    assert _reason(written) == "the decoder crashed"


def test_too_little_memory_costs_that_medium() -> None:
    big = media.image_bytes(form="BMP", width=6000, height=6000)
    with DecodePool(1, DecodeLimits(), 20.0, 420_000_000) as pool:
        outcomes = pool.decode_all(IMAGE, [big, media.png()])
    assert _reason(outcomes[0]) in ("decoding it takes more memory than is allowed", "the decoder crashed")
    assert outcomes[1].shape == (32, 48, 3)


def test_a_child_that_died_idle_costs_nothing() -> None:
    with DecodePool(1, DecodeLimits(), 10.0, MEMORY_BYTES) as pool:
        assert pool.decode_all(TEXT, [b"a"]) == ["a"]
        child = pool._children.get()
        assert child is not None
        os.kill(child._process.pid, signal.SIGKILL)
        pool._children.put(child)
        assert pool.decode_all(TEXT, [b"b"]) == ["b"]


def test_children_end_with_their_parent() -> None:
    program = (
        "import os\n"
        "from model.encoders.decode import DecodeLimits\n"
        "from model.encoders.decode_pool import DecodePool\n"
        "from model.encoders.spec import EncoderSpec\n"
        f"pool = DecodePool(1, DecodeLimits(), 5.0, {MEMORY_BYTES})\n"
        "pool.decode_all(EncoderSpec('text', 'm'), [b'a'])\n"
        "print(pool._children.get()._process.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    pid = int(done.stdout)
    deadline = time.monotonic() + 5.0
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.strip() not in ("", "Z", "Zs")


@pytest.mark.parametrize("module", ["decode_child", "decode_pool", "offline", "source", "spec", "media"])
def test_no_torch_is_imported(module: str) -> None:
    program = f"import sys, model.encoders.{module}; print({{'torch', 'transformers'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
