"""Times epochs of RecTools' SASRec as our defaults have it, in its own environment: width 64, two blocks, 50 events."""

import json
import logging
import statistics
import sys
import time
import warnings
from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from pytorch_lightning import Callback, Trainer
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel

EPOCHS = 3
WIDTH, BLOCKS, HEADS, LENGTH, BATCH, DROPOUT = 64, 2, 2, 50, 128, 0.2


class Clock(Callback):  # type: ignore[misc]
    """Notes the seconds between an epoch's start and its end; RecTools copies it, so in one list for all copies."""

    seconds: ClassVar[list[float]] = []

    def on_train_epoch_start(self, *_: object) -> None:
        """Start to count."""
        self.began = time.monotonic()

    def on_train_epoch_end(self, *_: object) -> None:
        """Note what was counted."""
        self.seconds.append(time.monotonic() - self.began)


def main(path: str) -> None:
    """Train on the events of a file and write the median seconds of an epoch after the first."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)

    def trainer() -> Trainer:
        off = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        length = {"max_epochs": EPOCHS, "min_epochs": EPOCHS, "enable_model_summary": False}
        return Trainer(accelerator="cpu", devices=1, callbacks=[Clock()], **off, **length)

    model = SASRecModel(
        n_factors=WIDTH,
        n_blocks=BLOCKS,
        n_heads=HEADS,
        session_max_len=LENGTH,
        dropout_rate=DROPOUT,
        loss="softmax",
        batch_size=BATCH,
        epochs=EPOCHS,
        lr=1e-3,
        deterministic=False,
        verbose=0,
        get_trainer_func=trainer,
    )
    model.fit(_dataset(path))
    sys.stdout.write(json.dumps({"seconds": statistics.median(Clock.seconds[1:])}) + "\n")


def _dataset(path: str) -> Dataset:
    events = np.load(path)
    order = pd.to_datetime(np.arange(len(events["items"])), unit="s")
    columns = {Columns.User: events["users"], Columns.Item: events["items"], Columns.Weight: 1.0}
    return Dataset.construct(pd.DataFrame({**columns, Columns.Datetime: order}))


if __name__ == "__main__":
    main(sys.argv[1])
