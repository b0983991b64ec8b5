"""What a comparison consists of: which method, with which options, on which modalities, from which seed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from itertools import combinations
from typing import Any

from model.compare.files import digest_of
from model.config import METHODS, ConfigError, known_options, needs_media, parse_config

RESULT_VERSION = 3
"""Raise it when what a cell measures changes, so that older results are not taken for new ones."""

ALL_SUBSETS = "all-subsets"
BASELINES = ("popular", "markov", "item_knn", "als")
"""What every method is compared with; each has one cell, since none depends on a seed or on content."""
ALS_NEEDS = "needs the library implicit: pip install 'crossan[compare]'"

Subset = tuple[str, ...]


@dataclass(frozen=True)
class Variant:
    """A row of the table: a method, and the options that make it different from the method's other rows."""

    label: str
    method: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Cell:
    """One run: a variant on some modalities from one seed; for a baseline, `method` is its name."""

    label: str
    method: str
    modalities: Subset
    seed: int
    options: Mapping[str, Any]

    @property
    def is_baseline(self) -> bool:
        """Whether it is computed and not trained."""
        return self.method in BASELINES

    def document(self) -> dict[str, Any]:
        """Returns it for JSON."""
        return {
            "label": self.label,
            "method": self.method,
            "modalities": list(self.modalities),
            "seed": self.seed,
            "options": dict(self.options),
        }

    def key(self, *, dataset: str, device: str, threads: int) -> str:
        """Returns what its result is kept under: its whole configuration, what it learns from, and on what.

        Args:
            dataset: fingerprint of the dataset.
            device: of torch.
            threads: of torch.
        """
        whole = self.options if self.is_baseline else parse_config(self.method, self.options).hyperparameters()
        where = {"dataset": dataset, "device": device, "threads": threads}
        return digest_of({"version": RESULT_VERSION, "method": self.method, "config": dict(whole), **where})[:24]


@dataclass(frozen=True)
class Overrides:
    """Options given for all methods that read them, and for one method each."""

    common: Mapping[str, Any]
    by_method: Mapping[str, Mapping[str, Any]]

    def of(self, variant: Variant) -> dict[str, Any]:
        """Returns the options of a variant: what is nearer to it wins."""
        known = known_options(variant.method)
        shared = {name: value for name, value in self.common.items() if name in known}
        return {**shared, **self.by_method.get(variant.method, {}), **variant.options}


def parse_variants(texts: Sequence[str]) -> list[Variant]:
    """Reads rows such as "crossan", or "crossan:cross_path=none:fusion=mean", with commas or apart.

    Raises:
        ConfigError: a method does not exist, or is named twice with the same options.
    """
    labels = [label.strip() for text in texts for label in text.split(",") if label.strip()]
    variants = [_variant(label) for label in labels]
    for number, label in enumerate(labels):
        if label in labels[:number]:
            raise ConfigError("methods", f"{label!r} is named twice")
    if not variants:
        raise ConfigError("methods", f"name at least one of {', '.join(METHODS)}")
    return variants


def _variant(label: str) -> Variant:
    method, *pairs = label.split(":")
    if method not in METHODS:
        raise ConfigError("methods", f"{method!r} is none of {', '.join(METHODS)}")
    return Variant(label, method, dict(_pair(pair) for pair in pairs))


def parse_overrides(pairs: Sequence[str], variants: Sequence[Variant]) -> Overrides:
    """Reads KEY=VALUE and METHOD.KEY=VALUE; a value that is not JSON is a word.

    Raises:
        ConfigError: nothing that is compared would read an option.
    """
    common: dict[str, Any] = {}
    by_method: dict[str, dict[str, Any]] = {}
    methods = {variant.method for variant in variants}
    for pair in pairs:
        name, value = _pair(pair)
        method, dot, option = name.rpartition(".")
        if dot and method not in methods:
            raise ConfigError(name, f"{method} is not among the methods that are compared")
        readers = {method} if dot else methods
        if not any(option in known_options(one) for one in readers):
            raise ConfigError(name, f"no such option of {', '.join(sorted(readers))}")
        (by_method.setdefault(method, {}) if dot else common)[option] = value
    return Overrides(common, by_method)


def _pair(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ConfigError(text, "an option is given as KEY=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def parse_subsets(texts: Sequence[str], there: Sequence[str]) -> list[Subset]:
    """Reads subsets of modalities, such as "text,image;text" or "all-subsets"; none at all means all in one.

    Args:
        texts: as given.
        there: the modalities of the catalogue; subsets have their order.

    Raises:
        ConfigError: a modality is not there.
    """
    named = [part.strip() for text in texts for part in text.split(";") if part.strip()]
    subsets: list[Subset] = []
    for part in named or [",".join(there)]:
        subsets += _all_subsets(there) if part == ALL_SUBSETS else [_subset(part, there)]
    return list(dict.fromkeys(subsets))


def _all_subsets(there: Sequence[str]) -> list[Subset]:
    return [subset for size in range(1, len(there) + 1) for subset in combinations(there, size)]


def _subset(text: str, there: Sequence[str]) -> Subset:
    wanted = {name.strip() for name in text.split(",") if name.strip()}
    for name in sorted(wanted):
        if name not in there:
            raise ConfigError("modalities", f"no item has {name}; there are {', '.join(there) or 'none'}")
    return tuple(name for name in there if name in wanted)


def skipped_baselines() -> dict[str, str]:
    """Returns the baselines that cannot be computed with what is installed, and what each needs."""
    return {} if find_spec("implicit") else {"als": ALS_NEEDS}


def plan_cells(
    variants: Sequence[Variant],
    overrides: Overrides,
    subsets: Sequence[Subset],
    *,
    seeds: int,
    baselines: Sequence[str] = BASELINES,
) -> list[Cell]:
    """Returns every run: baselines first, then seed by seed, so that an early look shows all rows.

    A method that reads no content has one row, whatever the modalities. Where one of the runs has the encoders in every
    step, a loss of `auto` is `in_batch` for all: the whole catalogue could not compete there, and the loss is the same
    for every row.

    Raises:
        ConfigError: an option has a value that its method does not take.
    """
    split = overrides.common.get("split", "leave_one_out")
    cells = [Cell(name, name, (), 0, {"split": split}) for name in baselines]
    for seed in range(seeds):
        for variant in variants:
            cells += _cells_of(variant, overrides.of(variant), subsets, seed)
    return [_with_affordable_loss(cell) for cell in cells] if keeps_media(cells) else cells


def _with_affordable_loss(cell: Cell) -> Cell:
    if cell.is_baseline or cell.options.get("loss", "auto") != "auto":
        return cell
    return replace(cell, options={**cell.options, "loss": "in_batch"})


def _cells_of(variant: Variant, options: Mapping[str, Any], subsets: Sequence[Subset], seed: int) -> list[Cell]:
    reads_content = "modalities" in known_options(variant.method)
    cells = []
    for subset in subsets if reads_content else [()]:
        chosen = {"modalities": ",".join(subset)} if reads_content else {}
        cell = Cell(variant.label, variant.method, subset, seed, {**options, **chosen, "seed": seed})
        parse_config(cell.method, cell.options)
        cells.append(cell)
    return cells


def keeps_media(cells: Sequence[Cell]) -> bool:
    """Whether any cell runs the encoders in training, so that decoded media must be there."""
    return any(needs_media(parse_config(cell.method, cell.options)) for cell in cells if not cell.is_baseline)
