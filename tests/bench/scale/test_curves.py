from pathlib import Path
from typing import Any

import pytest

from bench import latest
from bench.measuring import Figure
from bench.scale import curves, document, learning, remembering, searching
from bench.scale.sizing import Service, size
from bench.table import placed_between

CURVES: dict[str, list[dict[str, Any]]] = {
    "search": [
        {
            "kind": kind,
            "asked_for": kind,
            "items": 1_000,
            "query_ms": 2.0,
            "batched_query_ms": 1.0,
            "vector_bytes": 256_000,
            "index_bytes": bytes_,
            "build_s": 0.5,
            "recall": recall,
        }
        for kind, bytes_, recall in (("exact", 0, None), ("quantised", 64_000, 1.0))
    ],
    "users": [{"users": 100, "events_a_user": 50, "keys": 100, "bytes_a_user": 2_000.0}],
    "storage": [
        {"items": items, "users": 5, "ready_s": ready_s, "process_bytes": held, "bytes_of": bytes_of}
        for items, ready_s, held in ((1_000, 2.0, 200_000_000), (101_000, 4.0, 300_000_000))
        for bytes_of in [{"item": 400.0, "vector": 500.0, "event": 250.0, "answer": 800.0}]
    ],
    "training": [{"items": 1_000, "events": 10_000, "steps": 10, "step_s": 0.1, "epoch_s": 1.0}],
}


def test_needs_are_products_of_what_was_measured() -> None:
    service = Service(items=10**6, events=10**7, users=10**5, answers_a_day=86_400, answer_days=10, epochs=2)
    needs = {
        (need.part, need.what): need for need in size(CURVES, {"events_rate": Figure(2.0, 0.1, 5_000.0, 5)}, service)
    }
    # 10^6 x 400 + 10^6 x 500 + 10^7 x 250 + 864,000 x 800 bytes
    assert needs["PostgreSQL", "all, a replica has as much again"].amount == "4.09 GB"
    assert needs["PostgreSQL", "events"].arithmetic == "10,000,000 x 250 bytes"
    assert needs["PostgreSQL", "rows of answers"].amount == "1/s"
    assert needs["Redis", "states of users"].amount == "0.2 GB"
    # 10^8 bytes more for 10^5 items more: 1,000 bytes an item
    assert needs["API process", "memory: catalogue, vectors and index"].amount == "1 GB"
    # 2 s more for 10^5 items more: 20 us an item
    assert needs["API process", "until it is ready"].amount == "0.333 min"
    assert needs["API process", "one exact search, in a batch of 32"].amount == "1,000 ms"
    assert needs["API machine", "vectors and quantised index"].amount == "0.32 GB"
    # 10^7 events / (2 x 5,000 a second)
    assert needs["API process", "all of them once (`events_rate`)"].amount == "0.278 hours of this machine"
    # 10^7 events x 2 epochs x 100 us
    assert needs["training", "2 epochs over all events"].amount == "0.556 core hours"


def test_every_table_has_its_place_in_the_document(tmp_path: Path) -> None:
    scale, page = tmp_path / "scale.json", tmp_path / "scaling.md"
    latest.write_json(CURVES, scale)
    page.write_text(document.DOCUMENT.read_text())
    document.write_document(page, scale)
    text = page.read_text()
    assert "| 1,000 | quantised | 2 | 1 | 0.256 | 0.064 | 0.5 | 1.0000 |" in text
    assert "| 1,000,000 | 2,000 | 2,000 | 1,000,000 x 2,000 bytes |" in text
    assert "| 101,000 | 400 | 500 | 250 | 800 | 4 | 300 |" in text
    assert "| 1,000 | 10,000 | 100 | 1 |" in text
    assert "| Redis | states of users | 20,000,000 x 2,000 bytes | 40 GB |" in text


def test_the_document_says_what_was_measured() -> None:
    text = document.DOCUMENT.read_text()
    for name, table in document.tables(latest.read_json(document.SCALE), latest.read()).items():
        assert text == placed_between(text, table, (f"<!-- {name}:begin -->", f"<!-- {name}:end -->"))


def test_search_measures_every_kind() -> None:
    rows = list(searching.measure_search([2_000]))
    assert [row["asked_for"] for row in rows] == list(searching.KINDS)
    assert all(row["query_ms"] > 0 and row["vector_bytes"] == 2_000 * searching.WIDTH * 4 for row in rows)


def test_states_of_users_take_memory() -> None:
    (row,) = remembering.measure_users([50])
    # 50 members of at least 16 bytes of number and time, type and item.
    assert row["bytes_a_user"] > remembering.EVENTS * 16


def test_an_epoch_is_its_steps() -> None:
    (row,) = learning.measure_training([(50, 1_000)])
    assert row["epoch_s"] == pytest.approx(row["step_s"] * row["steps"])
    assert row["steps"] > 0


def test_quick_curves_are_not_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(curves, "SCALE", tmp_path / "scale.json")
    curves._keep("users", CURVES["users"], is_quick=True)
    assert not (tmp_path / "scale.json").exists()
