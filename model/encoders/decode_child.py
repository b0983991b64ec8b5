"""The process that decodes: requests on its standard input, answers on its standard output.

Messages are a length-prefixed JSON head and the bytes it announces. Nothing is pickled, so that a decoder taken over by
a hostile file can send back no more than an array or a sentence.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import struct
import sys
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from model.encoders.decode import DecodeLimits, MediaError, Sample, decode
from model.encoders.spec import EncoderSpec

MAX_ANSWER_BYTES = 1 << 30

_HEAD = struct.Struct("<IQ")
_DTYPES = ("uint8", "float32")


def write_message(pipe: BinaryIO, head: Mapping[str, Any], body: bytes | memoryview) -> None:
    """Writes one message.

    Args:
        pipe: unbuffered or not; it is flushed.
        head: JSON.
        body: any bytes.
    """
    text = json.dumps(head).encode()
    pipe.write(_HEAD.pack(len(text), len(body)) + text)
    pipe.write(body)
    pipe.flush()


def read_message(pipe: BinaryIO, max_bytes: int | None = None) -> tuple[dict[str, Any], bytes]:
    """Reads one message.

    Args:
        pipe: a buffered stream.
        max_bytes: of the body.

    Raises:
        EOFError: the other side is gone, or sent something else.
    """
    text_size, body_size = _HEAD.unpack(_exactly(pipe, _HEAD.size))
    if max_bytes is not None and max(text_size, body_size) > max_bytes:
        raise EOFError("the message is too large")
    head = json.loads(_exactly(pipe, text_size))
    return head, _exactly(pipe, body_size)


def _exactly(pipe: BinaryIO, size: int) -> bytes:
    data = pipe.read(size)
    if len(data) != size:
        raise EOFError("the pipe was closed")
    return data


def pack_sample(sample: Sample) -> tuple[dict[str, Any], bytes | memoryview]:
    """Returns the head and the body of an answer.

    Args:
        sample: from `decode`.
    """
    if isinstance(sample, str):
        return {"text": True}, sample.encode()
    return {"dtype": str(sample.dtype), "shape": list(sample.shape)}, np.ascontiguousarray(sample).data.cast("B")


def unpack_sample(head: Mapping[str, Any], body: bytes) -> Sample:
    """Returns the sample of an answer.

    Args:
        head: from `pack_sample`.
        body: likewise.

    Raises:
        MediaError: it is the answer that the medium cannot be decoded.
        ValueError: it is not an answer.
    """
    if "error" in head:
        raise MediaError(str(head["error"]))
    if "text" in head:
        return body.decode()
    if head.get("dtype") not in _DTYPES:
        raise ValueError("an answer of an unknown type")
    return np.frombuffer(bytearray(body), head["dtype"]).reshape(head["shape"])


def _answer(head: Mapping[str, Any], body: bytes) -> tuple[dict[str, Any], bytes | memoryview]:
    spec, limits = EncoderSpec.from_dict(head["spec"]), DecodeLimits(**head["limits"])
    signal.setitimer(signal.ITIMER_REAL, head["timeout_s"])  # unhandled, the alarm ends the process: no code can hang
    try:
        return pack_sample(decode(spec, body, limits))
    except MediaError as error:
        return {"error": error.reason}, b""
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _confine(memory_bytes: int) -> None:
    """Lets this process have so much memory and no more, write no file, and leave no core."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """Answers until its standard input ends."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get among the answers
    _confine(int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    while True:
        try:
            head, body = read_message(requests)
        except EOFError:
            return
        write_message(answers, *_answer(head, body))


if __name__ == "__main__":
    main()
