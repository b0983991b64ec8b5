"""Where a training's time goes, by part and by kind of work: written to docs/profile.md."""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function

from bench.table import number, placed_between
from bench.train.data import movielens_like, trainer_of
from model.trainer import Trainer

PAGE = Path(__file__).parent.parent.parent / "docs" / "profile.md"
MARKERS = "<!-- profile:begin -->", "<!-- profile:end -->"
MATRIX = ("mm", "addmm", "addmm_", "bmm", "baddbmm", "attention", "attention backward")
"""Operations that multiply matrices; attention does its softmax between two products."""
LONG_NAMES = {
    "_scaled_dot_product_flash_attention_for_cpu": "attention",
    "_scaled_dot_product_flash_attention_for_cpu_backward": "attention backward",
    "native_layer_norm": "layer norm",
    "native_layer_norm_backward": "layer norm backward",
    "random_": "random numbers of dropout",
    "_softmax": "softmax",
    "_fused_adamw_": "AdamW",
}
TOWER, USERS, LOSS = "item tower", "user encoder", "loss"
PARTS = {TOWER: TOWER, USERS: USERS, "_FusedCrossEntropy": LOSS, "Optimizer.": "optimiser"}
"""By the beginning of the name of the outermost range that an operation runs in."""
GRADIENT = "autograd::engine::evaluate_function"
REST = "gathering, clipping, averaging, Python"
SHOWN_KINDS = 10


def write_profile(path: Path = PAGE) -> Path:
    """Profile an epoch of `crossan` at its defaults and bring the page's tables up to date; returns the page."""
    trainer = trainer_of("crossan", movielens_like(has_states=True))
    trainer.run_epoch(0, lambda: False)
    began = time.process_time()
    trainer.run_epoch(1, lambda: False)
    epoch_s = time.process_time() - began
    apart = {"making its batches": _seconds_of_batches(trainer), "validation": _seconds_of_validation(trainer)}
    found = f"{_epoch_line(epoch_s, apart)}\n\n{_tables(trainer)}"
    text = path.read_text(encoding="utf-8")
    path.write_text(placed_between(text, found, MARKERS), encoding="utf-8")
    return path


def _seconds_of_batches(trainer: Trainer) -> float:
    began = time.process_time()
    trainer.steps_of_epoch()
    return time.process_time() - began


def _seconds_of_validation(trainer: Trainer) -> float:
    began = time.process_time()
    trainer.rank(trainer.split.validation)
    return time.process_time() - began


def _epoch_line(epoch_s: float, apart: Mapping[str, float]) -> str:
    others = ", ".join(f"{name} {number(100 * seconds / epoch_s)}%" for name, seconds in apart.items())
    return f"An epoch took {number(epoch_s)} s of one core; beside it, {others} of that."


def _tables(trainer: Trainer) -> str:
    """Profile one more epoch and return its two tables."""
    _mark(trainer.network.tower, "item tower")
    _mark(trainer.network.user_encoder, "user encoder")
    began = time.perf_counter()
    with profile(activities=[ProfilerActivity.CPU]) as found:
        trainer.run_epoch(2, lambda: False)
        total_us = (time.perf_counter() - began) * 1e6
    inside = ((event.sequence_nr, _part(event)) for event in found.events())
    made_in = {number: part for number, part in inside if part in (TOWER, USERS, LOSS)}
    events = [(_part(event, made_in), _kind(event.name), event.self_cpu_time_total) for event in found.events()]
    return f"{_by_part(events, total_us)}\n\n{_by_kind(events, total_us)}"


def _mark(module: nn.Module, name: str) -> None:
    """Makes a module's forward pass a range of that name in a profile."""
    forward = module.forward

    def marked(*args: Any) -> Any:
        with record_function(name):
            return forward(*args)

    module.forward = marked


def _part(event: Any, made_in: Mapping[int, str] | None = None) -> str:
    """Where an operation belongs: the outermost range around it that is a part, or whose gradient is one's.

    Args:
        event: of the profiler.
        made_in: the part of the operation in the forward pass, by the number that its gradient's range has too.
    """
    found = REST
    while event is not None:
        found = next((part for name, part in PARTS.items() if event.name.startswith(name)), found)
        if made_in is not None and event.name.startswith(GRADIENT):
            found = f"{made_in[event.sequence_nr]}, backward" if event.sequence_nr in made_in else REST
        event = event.cpu_parent
    return found


def _kind(name: str) -> str:
    bare = name.removeprefix("aten::")
    return LONG_NAMES.get(bare, bare if name.startswith("aten::") else "Python and bookkeeping")


def _by_part(events: Iterable[tuple[str, str, float]], total_us: float) -> str:
    matrix: defaultdict[str, float] = defaultdict(float)
    other: defaultdict[str, float] = defaultdict(float)
    for part, kind, self_us in events:
        (matrix if kind in MATRIX else other)[part] += self_us
    # What no operation accounts for is the interpreter, between them.
    other[REST] += max(total_us - sum(matrix.values()) - sum(other.values()), 0)
    lines = ["| part | share | matrix products | all else |", "|---|--:|--:|--:|"]
    for part in sorted({*matrix, *other}, key=lambda one: -(matrix[one] + other[one])):
        lines.append(_row(part, [matrix[part] + other[part], matrix[part], other[part]], total_us))
    lines.append(_row("**all**", [total_us, sum(matrix.values()), sum(other.values())], total_us))
    return "\n".join(lines)


def _by_kind(events: Iterable[tuple[str, str, float]], total_us: float) -> str:
    kinds: defaultdict[str, float] = defaultdict(float)
    for _, kind, self_us in events:
        if kind not in MATRIX:
            kinds[kind] += self_us
    lines = ["| what is no matrix product | share |", "|---|--:|"]
    return "\n".join([*lines, *(_row(kind, [self_us], total_us) for kind, self_us in _largest(kinds))])


def _largest(kinds: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(kinds.items(), key=lambda one: -one[1])[:SHOWN_KINDS]


def _row(name: str, parts_us: Iterable[float], total_us: float) -> str:
    cells = (f"{100 * part / total_us:.1f}%" for part in parts_us)
    return f"| {name} | {' | '.join(cells)} |"
