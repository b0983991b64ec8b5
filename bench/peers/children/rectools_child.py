"""Times RecTools' `recommend` of a SASRec for one user after another: a line in, microseconds of one call out."""

import sys
import time
import warnings

import numpy as np
import pandas as pd
import torch
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel

CALLS = 5


def main(path: str, width: int) -> None:
    """Fit for one epoch on histories [users, s] and answer until the input ends."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    dataset = _dataset(np.load(path))
    model = SASRecModel(n_factors=width, n_blocks=2, n_heads=2, session_max_len=50, epochs=1, verbose=0)
    model.fit(dataset)
    users = dataset.user_id_map.external_ids
    for _ in sys.stdin:
        start = time.perf_counter()
        for number in range(CALLS):
            model.recommend([users[number]], dataset, k=10, filter_viewed=True)
        sys.stdout.write(f"{(time.perf_counter() - start) / CALLS * 1e6}\n")
        sys.stdout.flush()


def _dataset(histories: np.ndarray) -> Dataset:
    users, events = histories.shape
    table = {
        Columns.User: np.repeat(np.arange(users), events),
        Columns.Item: histories.ravel(),
        Columns.Weight: 1.0,
        Columns.Datetime: np.tile(pd.date_range("2026-01-01", periods=events, freq="min"), users),
    }
    return Dataset.construct(pd.DataFrame(table))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
