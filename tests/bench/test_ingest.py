"""The bench of what comes in: its client, and one round of each figure against a real service."""

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bench.ingest.events import EventLoad, WrongSequence
from bench.ingest.posting import PostFailed, head_of, post_all, post_stream
from bench.ingest.uploads import UploadLoad
from bench.ingest.world import running_ingest
from bench.serve.cores import Cores


class Echo(BaseHTTPRequestHandler):
    """Answers with the body, and with 400 to an empty one."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200 if body else 400)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def echoing() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_every_request_is_sent_once_over_connections_that_stay_open() -> None:
    with echoing() as url:
        bodies = [f"body {number}".encode() for number in range(20)]
        posted = post_all(url, [head_of(url, "/", {}, len(body)) + body for body in bodies], 3)
    assert sorted(posted.answers) == sorted(bodies)


def test_a_body_in_pieces_is_one_body() -> None:
    with echoing() as url:
        assert post_stream(url, head_of(url, "/", {}, 6), [b"abc", b"def"]).answers == [b"abcdef"]


def test_an_answer_that_is_no_success_is_an_error() -> None:
    with echoing() as url, pytest.raises(PostFailed, match="400"):
        post_stream(url, head_of(url, "/", {}, 0), [])


def test_events_and_videos_come_in_and_are_looked_for() -> None:
    cores = Cores(server=frozenset(_cores()), others=frozenset(_cores()))
    # Not below pytest's own folder, which only its owner may enter: PostgreSQL never runs as root.
    with tempfile.TemporaryDirectory(prefix="crossan-bench-") as folder, running_ingest(Path(folder), cores) as world:
        events = EventLoad(world, events=300)
        events.warm_up()
        assert events.post_per_s() > 0
        assert events.copy_per_s() > 0
        events.check_sequences()
        events._accepted["user 1"] += 1
        with pytest.raises(WrongSequence, match="user 1"):
            events.check_sequences()
        uploads = UploadLoad(world, size_bytes=1 << 20)
        uploads.warm_up()
        assert uploads.upload_mb_per_s() > 0
        assert uploads.copy_mb_per_s() > 0


def _cores() -> set[int]:
    return os.sched_getaffinity(0)
