"""What is like an item or an upload: exact cosines over the catalogue, mixed with what the user would want."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.recommendations.candidates import top_rows

Mask = NDArray[np.bool_]
Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Likeness:
    """Rows of the catalogue by likeness, best first, with what they were ranked by."""

    rows: Sequence[int]
    scores: Sequence[float]


def cosines(values: NDArray[np.float32], query: NDArray[np.float32]) -> Scores:
    """Cosine of the angle between each vector [n, d] and the query [d]; 0 where one of them is zero."""
    lengths = np.sqrt(np.einsum("nd,nd->n", values, values)) * np.linalg.norm(query)
    found: Scores = np.divide(values @ query, lengths, out=np.zeros(len(values), np.float32), where=lengths > 0)
    return found


def standardised(scores: Scores, allowed: Mask) -> Scores:
    """Scores [n] with mean 0 and deviation 1 over the allowed rows; all 0 where they do not differ."""
    chosen = scores[allowed].astype(np.float64)
    deviation = float(chosen.std()) if len(chosen) else 0.0
    # Sums of equal numbers differ in their last digits: that is no deviation.
    if deviation <= 1e-7 * max(1.0, float(np.abs(chosen).max(initial=0.0))):
        return np.zeros_like(scores)
    found: Scores = ((scores - chosen.mean()) / deviation).astype(np.float32)
    return found


def most_alike(
    likeness: Scores,
    allowed: Mask,
    *,
    limit: int,
    ties: NDArray[np.int64],
    personal: Scores | None = None,
    weight: float = 0.0,
) -> Likeness:
    """The allowed rows of highest merit, best first; among equals the one of the lower tie comes first.

    Args:
        likeness: cosines [n].
        allowed: rows that may be shown [n].
        limit: the most rows.
        ties: all different [n].
        personal: inner products with the user's vector [n]; None leaves likeness alone.
        weight: of the personal score, 0 to 1: merit is (1 - w) · z(likeness) + w · z(personal), z standardised over
            the allowed rows. With weight 0 merit is the cosine itself.
    """
    merit = likeness
    if personal is not None and weight > 0:
        merit = (1 - weight) * standardised(likeness, allowed) + weight * standardised(personal, allowed)
    merit = np.where(allowed, merit, np.float32(-np.inf)).astype(np.float32)
    if not len(merit):
        return Likeness([], [])
    rows = top_rows(merit, limit, ties=ties)
    return Likeness(rows.tolist(), merit[rows].tolist())
