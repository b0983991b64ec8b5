"""Sends events in batches from a thread of its own."""

import atexit
import logging
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from crossan.client.errors import ClientError, EventsUnsent
from crossan.client.outbox import Batch, Outbox
from crossan.client.policy import WriterPolicy, log_rejected
from crossan.client.retries import RetryPolicy
from crossan.client.shelf import Shelf, default_folder
from crossan.client.sync_client import Client
from crossan.client.types import AnyEvent

log = logging.getLogger(__name__)


class EventWriter:
    """Takes events and sends them soon, many at a time; threads may share it.

    Nothing is lost at exit: the end of the `with` block, and of the interpreter, sends what is left, and what cannot be
    sent is put on disk, where the next writer for the same service finds it. With `journal` every event is on disk
    before `write` returns, so that a killed process loses none either.

    Args:
        client: connection to the service; it is not closed.
        journal: folder for events that wait; without it only those are written down that are left at the end.
        policy: sizes and times.
    """

    def __init__(self, client: Client, *, journal: Path | None = None, policy: WriterPolicy | None = None) -> None:
        self._client = client
        self._policy = policy or WriterPolicy()
        self._shelf = Shelf(journal or default_folder(), client.identity)
        self._outbox = Outbox(self._shelf, journal=journal is not None, max_batch=self._policy.max_batch)
        self._changed = threading.Condition()
        self._flushing = self._closing = False
        self._trouble: ClientError | None = None
        self._thread = threading.Thread(target=self._run, name="crossan-events", daemon=True)
        self._thread.start()
        atexit.register(self._at_exit)

    def __enter__(self) -> Self:
        """It runs already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Send what is left."""
        self.close()

    def write(self, event: AnyEvent) -> None:
        """Take one event; waits while `max_waiting` others wait.

        Raises:
            RuntimeError: the writer is closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._outbox.count < self._policy.max_waiting)
            if self._closing:
                raise RuntimeError("The writer is closed.")
            self._outbox.put(event)
            self._changed.notify_all()

    def flush(self, timeout_s: float | None = None) -> None:
        """Wait until everything has arrived; raises the last trouble, or TimeoutError, after `timeout_s`."""
        with self._changed:
            self._flushing = True
            self._changed.notify_all()
            arrived = self._changed.wait_for(lambda: not self._outbox.count, timeout_s)
            if not arrived:
                raise self._trouble or TimeoutError(f"{self._outbox.count} events still wait.")

    def close(self) -> None:
        """Send what is left, for at most `exit_timeout_s`; raises EventsUnsent for what had to be put on disk."""
        atexit.unregister(self._at_exit)
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(self._policy.exit_timeout_s)
        with self._changed:
            if unsent := self._outbox.keep():
                raise EventsUnsent(unsent, self._shelf.folder, str(self._trouble or "no time left"))

    def _at_exit(self) -> None:
        try:
            self.close()
        except EventsUnsent as error:
            log.warning("%s", error)

    def _run(self) -> None:
        failures = 0
        while (batch := self._next()) is not None:
            last_chance = self._closing
            try:
                self._send(batch)
                failures = 0
            except ClientError as error:
                failures += 1
                self._note(error)
                if last_chance:
                    return
                self._pause(RetryPolicy().pause_s(failures))

    def _next(self) -> Batch | None:
        """The next batch that is due; None when there is nothing more to do."""
        with self._changed:
            while True:
                due = self._outbox.due(self._policy.max_delay_s)
                if due is None:
                    self._flushing = False
                    if self._closing:
                        return None
                elif due <= 0 or self._flushing or self._closing:
                    return self._outbox.first()
                self._changed.wait(due)

    def _send(self, batch: Batch) -> None:
        report = self._client.send_events(batch.events)
        log_rejected(batch.events, report)
        with self._changed:
            self._outbox.done(batch)
            self._trouble = None
            self._changed.notify_all()

    def _note(self, error: ClientError) -> None:
        log.warning("events not sent yet: %s", error)
        with self._changed:
            self._trouble = error
            self._changed.notify_all()

    def _pause(self, seconds: float) -> None:
        """Wait before the next attempt, unless the writer ends."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing, seconds)
