"""One message to one address over HTTP: resolved once, connected to what was resolved, within a time."""

import http.client
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from socket import SHUT_RDWR

from app.core.addresses import AddressRefused, Target, resolve
from app.webhooks.signature import sign

USER_AGENT = "crossan-webhooks/1"


@dataclass(frozen=True)
class Envelope:
    """A message with where it goes."""

    message_id: str
    url: str
    secret: str
    body: bytes


@dataclass(frozen=True)
class Outcome:
    """What became of an attempt: the HTTP status if there was an answer, and what was wrong, None if nothing."""

    status: int | None
    error: str | None


Send = Callable[[Envelope], Outcome]


class HttpSender:
    """Posts messages; redirects are not followed, and of the answer only the status is read.

    Args:
        timeout_s: for all of one attempt but the look-up of the name.
        allow_private: whether addresses of the inside are fine.
        clock: seconds since 1970, for the signature.
    """

    def __init__(self, *, timeout_s: float, allow_private: bool, clock: Callable[[], float] = time.time) -> None:
        self._timeout_s = timeout_s
        self._allow_private = allow_private
        self._clock = clock

    def __call__(self, envelope: Envelope) -> Outcome:
        """Try once; every failure is an outcome."""
        try:
            target = resolve(envelope.url, allow_private=self._allow_private)
        except AddressRefused as error:
            return Outcome(None, f"The address {error}.")
        try:
            status = self._post(target, envelope)
        except (OSError, http.client.HTTPException) as error:
            # The text of the error may quote what the other side wrote.
            return Outcome(None, f"No answer ({type(error).__name__}).")
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return Outcome(status, None)
        return Outcome(status, f"The answer was {status}.")

    def _post(self, target: Target, envelope: Envelope) -> int:
        timestamp = int(self._clock())
        headers = {
            "Host": target.host_header,
            "User-Agent": USER_AGENT,
            "Content-Type": "application/json",
            "Connection": "close",
            "webhook-id": envelope.message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(
                envelope.secret, message_id=envelope.message_id, timestamp=timestamp, body=envelope.body
            ),
        }
        connection = http.client.HTTPConnection(target.host, target.port)
        connection.sock = target.connect(timeout_s=self._timeout_s)
        # A timeout of the socket begins anew with every byte: this one ends the whole.
        late = threading.Timer(self._timeout_s, _cut, [connection])
        late.daemon = True
        late.start()
        try:
            connection.request("POST", target.path, body=envelope.body, headers=headers)
            return connection.getresponse().status
        finally:
            late.cancel()
            connection.close()


def _cut(connection: http.client.HTTPConnection) -> None:
    socket = connection.sock
    if socket is not None:
        with suppress(OSError):
            socket.shutdown(SHUT_RDWR)
