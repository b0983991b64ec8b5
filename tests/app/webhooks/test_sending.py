"""One attempt: what counts as arrived, and that nothing keeps it for long or leads it inside."""

import socket
import threading
import time

import pytest

from app.webhooks.sending import Envelope, HttpSender, Outcome
from app.webhooks.signature import sign
from tests.fixtures.receiver import Receiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = '{"type":"webhook.test","größe":1}'.encode()


def envelope(url: str) -> Envelope:
    return Envelope("msg_1", url, SECRET, BODY)


def sender(timeout_s: float = 5.0) -> HttpSender:
    return HttpSender(timeout_s=timeout_s, allow_private=True, clock=lambda: 1_700_000_000.9)


def test_what_is_sent(receiver: Receiver) -> None:
    assert sender()(envelope(receiver.url)) == Outcome(204, None)
    (request,) = receiver.received
    assert (request.path, request.body) == ("/hook?a=b", BODY)
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == "msg_1"
    assert request.headers["webhook-timestamp"] == "1700000000"
    expected = sign(SECRET, message_id="msg_1", timestamp=1_700_000_000, body=BODY)
    assert request.headers["webhook-signature"] == expected
    assert request.headers["host"] == receiver.url.split("/")[2]


@pytest.mark.parametrize("status", [200, 202, 299])
def test_arrived(receiver: Receiver, status: int) -> None:
    receiver.answer = lambda _: status
    assert sender()(envelope(receiver.url)) == Outcome(status, None)


@pytest.mark.parametrize("status", [301, 307, 400, 404, 410, 429, 500, 503])
def test_not_arrived_and_redirects_are_not_followed(receiver: Receiver, status: int) -> None:
    receiver.answer = lambda _: status
    assert sender()(envelope(receiver.url)) == Outcome(status, f"The answer was {status}.")
    assert len(receiver.received) == 1


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    outcome = sender()(envelope(f"http://127.0.0.1:{port}/"))
    assert outcome == Outcome(None, "No answer (ConnectionRefusedError).")


def test_a_certificate_that_nobody_vouches_for(receiver: Receiver) -> None:
    outcome = sender()(envelope(receiver.url.replace("http:", "https:")))
    assert outcome.status is None
    assert outcome.error is not None
    assert "SSL" in outcome.error


def test_private_addresses_are_refused_unless_allowed(receiver: Receiver) -> None:
    outcome = HttpSender(timeout_s=5.0, allow_private=False)(envelope(receiver.url))
    assert outcome == Outcome(None, "The address leads to a private address.")
    assert receiver.received == []


@pytest.mark.parametrize("answer", [b"", b"HTTP/"], ids=["silence", "a line without end"])
def test_an_answer_that_never_comes_to_an_end_is_cut_off(answer: bytes) -> None:
    """A byte now and then would keep a timeout of the socket from ever running out."""
    over = threading.Event()

    def dribble(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.sendall(answer)
            while not over.wait(0.02):
                try:
                    connection.sendall(b"x" if answer else b"")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as server:
        serving = threading.Thread(target=dribble, args=[server])
        serving.start()
        started = time.monotonic()
        outcome = sender(timeout_s=0.3)(envelope(f"http://127.0.0.1:{server.getsockname()[1]}/"))
        took = time.monotonic() - started
        over.set()
        serving.join()
    assert outcome.status is None
    assert outcome.error is not None
    assert took >= 0.3


def test_an_answer_that_is_no_http() -> None:
    def nonsense(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(1 << 16)
            connection.sendall(b"SSH-2.0-secret\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        serving = threading.Thread(target=nonsense, args=[server])
        serving.start()
        outcome = sender()(envelope(f"http://127.0.0.1:{server.getsockname()[1]}/"))
        serving.join()
    assert outcome.status is None
    assert "secret" not in str(outcome.error), "what the other side says is not for our logs"
