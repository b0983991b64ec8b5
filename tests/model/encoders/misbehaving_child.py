"""A decoder process that crashes, hangs or talks when a text tells it to."""

from __future__ import annotations

import os
import signal
import sys
import tempfile

from model.encoders import decode_child
from model.encoders.decode import DecodeLimits, MediaError, Sample, decode
from model.encoders.spec import EncoderSpec


def _crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _hang() -> None:
    while True:
        pass


def _talk() -> None:
    os.write(1, b"a library's own words")


def _write() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"x")
        file.flush()


def _list_modules() -> None:
    raise MediaError(" ".join(sorted(sys.modules)))


def _list_variables() -> None:
    raise MediaError(" ".join(sorted(os.environ)))


_DEEDS = {
    b"crash": _crash,
    b"hang": _hang,
    b"talk": _talk,
    b"write": _write,
    b"modules": _list_modules,
    b"variables": _list_variables,
}


def _misbehave(spec: EncoderSpec, data: bytes, limits: DecodeLimits) -> Sample:
    if data in _DEEDS:
        _DEEDS[data]()
    return decode(spec, data, limits)


if __name__ == "__main__":
    decode_child.decode = _misbehave
    decode_child.main()
