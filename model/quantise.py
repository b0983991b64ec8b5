"""The user encoder with 8-bit matrices: half the time, and used only where the vectors stay the same."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto

from model.config import TrainingConfig
from model.data.batch import last_events
from model.data.dataset import Interactions
from model.eight_bits import Range, input_names, quantise
from model.runtime import open_session
from model.train import Trained

LEAST_COSINE = 0.999
LEAST_WIDTH = 64
"""Narrower encoders gain less than a quarter: their matrices take the smaller part of the time."""
ASKED_USERS = 256

_log = logging.getLogger(__name__)


def is_wanted(config: TrainingConfig) -> bool:
    """Whether a version shall be served in 8 bits, if that changes nothing."""
    precision = config.user_encoder.serving_precision
    return precision == "int8" or (precision == "auto" and config.tower.item_width >= LEAST_WIDTH)


def quantise_user_encoder(
    path: Path, target: Path, *, sequences: NDArray[np.float32], lengths: NDArray[np.int64]
) -> float:
    """Writes a user encoder in 8 bits and compares it; removes it again where it differs.

    Every second user shows how large activations are; their scales are fixed then, so that a user's vector does not
    depend on who else is encoded. All are compared.

    Args:
        path: the encoder in fp32.
        target: what to write.
        sequences: float32 [b, s, w], right-aligned, of users to ask about.
        lengths: int64 [b].

    Returns:
        The lowest cosine of a user's two vectors; there is a file at `target` only if it is at least `LEAST_COSINE`.
    """
    network = onnx.load(path)
    ranges = _ranges(network, sequences[::2], lengths[::2])
    onnx.save(quantise(network, ranges), target)
    exact, rough = (
        open_session(one).run(["users"], {"sequences": sequences, "lengths": lengths})[0] for one in (path, target)
    )
    norms = np.linalg.norm(exact, axis=1) * np.linalg.norm(rough, axis=1)
    lowest = float(((exact * rough).sum(axis=1) / norms).min())
    if not lowest >= LEAST_COSINE:
        target.unlink()
        _log.warning("user encoder stays in fp32: in 8 bits its cosine is %.5f, below %s", lowest, LEAST_COSINE)
    return lowest


def asked_users(trained: Trained, events: Interactions) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Returns what some users did last, as vectors [b, s, w] of what was learned, and how much it is, int64 [b]."""
    known = events.keep(trained.rankable[events.items])
    items, lengths = last_events(known, trained.config.user_encoder.max_length)
    active = np.flatnonzero(lengths)
    chosen = active[:: -(-len(active) // ASKED_USERS)]
    return trained.vectors[np.maximum(items[chosen], 0)], lengths[chosen]


def _ranges(network: ModelProto, sequences: NDArray[np.float32], lengths: NDArray[np.int64]) -> dict[str, Range]:
    """Returns what the inputs of 8-bit products are for real users, without their padding."""
    names = input_names(network)
    observed = onnx.ModelProto()
    observed.CopyFrom(network)
    observed.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = open_session(observed.SerializeToString())
    found = dict.fromkeys(names, Range())
    for sequence, length in zip(sequences, lengths, strict=True):
        seen = session.run(names, {"sequences": sequence[None, -length:], "lengths": length[None]})
        found = {name: found[name].with_values(values) for name, values in zip(names, seen, strict=True)}
    return found
