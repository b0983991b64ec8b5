"""Imports in the real worker of transfers: several at once in its threads, and killed in the middle."""

import json
from typing import Any

import pytest

from tests.fixtures.stack import Stack, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(280)]

FILES, EVENTS = 3, 6_000


def lines_of(number: int) -> bytes:
    events = [{"user_id": f"u{n % 50}", "item_id": "i", "event_id": f"{number}-{n}"} for n in range(EVENTS)]
    return b"".join(json.dumps(event).encode() + b"\n" for event in events) + b'"bad"\n'


def imports(stack: Stack) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stack.client.get("/admin/imports").json()["imports"]
    return found


def test_imports_go_on_after_a_kill(stack: Stack) -> None:
    for number in range(FILES):
        form = {"kind": "events"}
        answer = stack.client.post("/admin/imports", data=form, files={"file": ("e.ndjson", lines_of(number))})
        assert answer.status_code == 202, answer.text
    wait_for(lambda: sum(0 < one["progress"]["lines"] < EVENTS for one in imports(stack)) > 1, what="two run at once")
    stack.kill("transfer@%h")
    wait_for(lambda: all(one["state"] == "succeeded" for one in imports(stack)), what="all imports", seconds=120)
    for one in imports(stack):
        assert (one["progress"]["lines"], one["progress"]["rejected"]) == (EVENTS + 1, 1)
        assert one["progress"]["accepted"] == EVENTS, "no line was written twice"
    (row,) = stack.query("SELECT count(*) AS events FROM events")
    assert row["events"] == FILES * EVENTS
    worker = stack.role("transfer@%h")
    assert not [path for path in worker.memory_maps() if "/torch/" in path.path]
