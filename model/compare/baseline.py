"""One baseline of a comparison in a process of its own, without torch: `python -m model.compare.baseline FOLDER`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from model.baselines import item_knn, markov, popular
from model.compare.als import als
from model.compare.child import Report, main
from model.data.dataset import Interactions
from model.data.saved import load_dataset
from model.data.splits import SPLITS
from model.evaluation.ranking import Scorer
from model.evaluation.report import judge

SCORERS: Mapping[str, Callable[[Interactions, int], Scorer]] = {
    "popular": popular,
    "markov": markov,
    "item_knn": item_knn,
    "als": als,
}


def judge_baseline(job: dict[str, Any], report: Report) -> dict[str, Any]:
    """Fits a baseline on the training events and asks it about every test user.

    Args:
        job: `method`, `options` with the `split`, and `dataset` (a folder); whatever else it has is handed on.
        report: not told anything.

    Returns:
        The job with `metrics` and `seconds`.

    Raises:
        TrainingDataError: the dataset cannot be used.
    """
    dataset = load_dataset(Path(job["dataset"]))
    began = time.monotonic()
    split = SPLITS[job["options"]["split"]](dataset.interactions)
    scorer = SCORERS[job["method"]](split.train, dataset.item_count)
    rankable = np.ones(dataset.item_count, dtype=np.bool_)
    found = judge(scorer, split.test, split.train, rankable)
    slices = found.pop("slices")
    return {**job, "metrics": {"test": found, "slices": slices}, "seconds": time.monotonic() - began}


if __name__ == "__main__":
    sys.exit(main(judge_baseline))
