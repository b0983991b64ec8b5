"""Decodes in confined child processes, so that a file that crashes, bloats or hangs a decoder costs only itself."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast

import model
from model.encoders import decode_child
from model.encoders.decode import DecodeLimits, Sample
from model.encoders.decode_child import MAX_ANSWER_BYTES, read_message, unpack_sample, write_message
from model.encoders.media import MediaError
from model.encoders.spec import EncoderSpec

_KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ", "SYSTEMROOT")


class DecodePool:
    """Child processes that decode. They start when they are first needed, and import no torch.

    Not `concurrent.futures`: there one dead child breaks all that was asked for, and a hanging one cannot be ended.
    Nor `multiprocessing`: it imports the parent's main module again, and a daemonic process may not use it.
    """

    def __init__(
        self,
        workers: int,
        limits: DecodeLimits,
        timeout_s: float,
        memory_bytes: int,
        *,
        child_module: str = decode_child.__name__,
    ) -> None:
        """Prepares the pool; no process is started yet.

        Args:
            workers: how many media are decoded at once.
            limits: of what is decoded.
            timeout_s: longest time for one medium.
            memory_bytes: address space of a child; an idle one has some 300 MB of it.
            child_module: what a child runs.
        """
        self._limits = limits
        self._timeout_s = timeout_s
        self._arguments = (child_module, str(memory_bytes))
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="decode")
        self._children: queue.SimpleQueue[_Child | None] = queue.SimpleQueue()
        self._workers = workers
        for _ in range(workers):
            self._children.put(None)

    def decode_all(self, spec: EncoderSpec, blobs: Sequence[bytes]) -> list[Sample | MediaError]:
        """Decodes each medium, or says why it cannot be.

        Args:
            spec: the encoder that the samples are for.
            blobs: raw files.

        Returns:
            as many samples or errors, in the same order.
        """
        return list(self._threads.map(lambda blob: self._decode(spec, blob), blobs))

    def close(self) -> None:
        """Ends the children, after what they are at."""
        self._threads.shutdown()
        for _ in range(self._workers):
            child = self._children.get()
            if child is not None:
                child.end()
        self._workers = 0

    def __enter__(self) -> Self:
        """Returns the pool."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Closes the pool."""
        self.close()

    def _decode(self, spec: EncoderSpec, blob: bytes) -> Sample | MediaError:
        """Tries twice: what ends a child may be the machine's lack of memory, not the medium."""
        child = self._children.get()
        try:
            for _ in range(2):
                if child is not None and not child.is_alive():
                    child.end()  # it may have died idle: its pipes are still open here
                    child = None
                child = child or _Child(self._arguments)
                with suppress(_ChildDied):
                    return child.decode(spec, blob, self._limits, timeout_s=self._timeout_s)
            return MediaError("the decoder crashed")
        except MediaError as error:
            return error
        finally:
            self._children.put(child)


class _ChildDied(Exception):
    """A child ended before it answered."""


class _Child:
    """One child process and its pipes."""

    def __init__(self, arguments: Sequence[str]) -> None:
        root = str(Path(str(model.__file__)).parent.parent)
        settings = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}  # and so no secrets
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-s", "-m", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=settings | {"PYTHONPATH": root, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        self._requests = cast(BinaryIO, self._process.stdin)
        self._answers = cast(BinaryIO, self._process.stdout)

    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def decode(self, spec: EncoderSpec, blob: bytes, limits: DecodeLimits, *, timeout_s: float) -> Sample:
        """Has one medium decoded.

        Raises:
            MediaError: it cannot be, or not in time.
            _ChildDied: for another reason.
        """
        head = {"spec": spec.to_dict(), "limits": asdict(limits), "timeout_s": timeout_s}
        try:
            write_message(self._requests, head, blob)
            answer = read_message(self._answers, MAX_ANSWER_BYTES)
            return unpack_sample(*answer)
        except (OSError, EOFError, ValueError, TypeError, AttributeError) as error:
            if self.end() == -signal.SIGALRM:
                raise MediaError(f"it took longer than {timeout_s:g} s") from error
            raise _ChildDied from error

    def end(self) -> int:
        """Ends the process if it has not ended, and returns its exit code."""
        self._answers.close()
        with suppress(BrokenPipeError):  # the process is gone, and what was not sent yet with it
            self._requests.close()
        try:
            return self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
