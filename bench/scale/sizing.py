"""What a service of a given size needs: each number follows from a measured one by the arithmetic beside it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.measuring import Figure
from bench.serve.synthetic import MODALITIES
from bench.table import number

Curves = Mapping[str, Sequence[Mapping[str, Any]]]
GB = 1e9
DAY_S, HOUR_S = 86_400, 3_600


@dataclass(frozen=True)
class Service:
    """How large the service is.

    Attributes:
        items: in the catalogue.
        events: kept.
        users: with a state in Redis.
        answers_a_day: given, each kept for `answer_days`.
        answer_days: of `CROSSAN_ANSWER_DAYS`.
        epochs: of a training.
    """

    items: int = 100_000_000
    events: int = 1_000_000_000
    users: int = 20_000_000
    answers_a_day: int = 50_000_000
    answer_days: int = 30
    epochs: int = 20


@dataclass(frozen=True)
class Need:
    """One line of the sizing table."""

    part: str
    what: str
    arithmetic: str
    amount: str


def size(curves: Curves, figures: Mapping[str, Figure], service: Service | None = None) -> Iterator[Need]:
    """The needs of a service, in the order of its parts.

    Args:
        curves: measured by this group.
        figures: of the other groups; what is not measured yet is left out.
        service: that is wanted.
    """
    service = service or Service()
    yield from _postgres(curves, service)
    yield from _redis(curves, service)
    yield from _api(curves, service)
    yield from _arriving(figures, service)
    yield from _training(curves, service)


def _postgres(curves: Curves, service: Service) -> Iterator[Need]:
    each = curves["storage"][-1]["bytes_of"]
    answers = service.answers_a_day * service.answer_days
    counts = {"item": service.items, "vector": service.items, "event": service.events, "answer": answers}
    for name, count in counts.items():
        yield _bytes("PostgreSQL", f"{name}s", count, each[name])
    whole = sum(count * each[name] for name, count in counts.items())
    yield Need("PostgreSQL", "all, a replica has as much again", "sum of the above", _gb(whole))
    per_s = service.answers_a_day / DAY_S
    yield Need("PostgreSQL", "rows of answers", f"{number(service.answers_a_day)} / 86,400 s", f"{number(per_s)}/s")


def _redis(curves: Curves, service: Service) -> Iterator[Need]:
    yield _bytes("Redis", "states of users", service.users, curves["users"][-1]["bytes_a_user"])


def _api(curves: Curves, service: Service) -> Iterator[Need]:
    smaller, larger = curves["storage"][0], curves["storage"][-1]
    an_item = (larger["process_bytes"] - smaller["process_bytes"]) / (larger["items"] - smaller["items"])
    yield _bytes("API process", "memory: catalogue, vectors and index", service.items, an_item)
    a_second = (larger["ready_s"] - smaller["ready_s"]) / (larger["items"] - smaller["items"])
    yield Need(
        *("API process", "until it is ready"),
        f"{number(service.items)} x {number(a_second * 1e6)} us",
        f"{number(service.items * a_second / 60)} min",
    )
    for kind in ("exact", "quantised"):
        row = max((row for row in curves["search"] if row["kind"] == kind), key=lambda row: int(row["items"]))
        factor = service.items / row["items"]
        yield Need(
            *("API process", f"one {kind} search, in a batch of 32"),
            f"{number(row['batched_query_ms'])} ms x {number(service.items)} / {number(row['items'])}",
            f"{number(row['batched_query_ms'] * factor)} ms",
        )
        yield _bytes("API machine", f"vectors and {kind} index", service.items, _bytes_an_item(row))


def _arriving(figures: Mapping[str, Figure], service: Service) -> Iterator[Need]:
    """What comes in: events through the API, and media through the encoders."""
    counts = {"events_rate": ("API process", service.events)} | {
        f"encode_{modality}": ("Celery, queue encode", service.items) for modality in MODALITIES
    }
    for name, (part, count) in counts.items():
        if name in figures:
            per_s = figures[name].ratio * figures[name].floor
            hours = count / per_s / HOUR_S
            arithmetic = f"{number(count)} / {number(per_s)} a second / 3,600"
            yield Need(part, f"all of them once (`{name}`)", arithmetic, f"{number(hours)} hours of this machine")


def _bytes_an_item(row: Mapping[str, Any]) -> float:
    return float(row["vector_bytes"] + row["index_bytes"]) / float(row["items"])


def _training(curves: Curves, service: Service) -> Iterator[Need]:
    row = max(curves["training"], key=lambda row: int(row["events"]))
    an_event = row["epoch_s"] / row["events"]
    hours = service.events * service.epochs * an_event / HOUR_S
    yield Need(
        *("training", f"{service.epochs} epochs over all events"),
        f"{number(service.events)} x {service.epochs} x {number(an_event * 1e6)} us / 3,600",
        f"{number(hours)} core hours",
    )


def _bytes(part: str, what: str, count: int, each: float) -> Need:
    return Need(part, what, f"{number(count)} x {number(each)} bytes", _gb(count * each))


def _gb(size_bytes: float) -> str:
    return f"{number(size_bytes / GB)} GB"
