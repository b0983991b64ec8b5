"""Why an item is recommended: what of the user's history is nearest to it."""

from typing import Any

import numpy as np

from app.recommendations.catalogue import Catalogue
from app.recommendations.diversity import unit
from app.recommendations.view import Scorer
from app.stores.sequence_state import SequenceState

NEAREST = 3
MAX_HISTORY = 200
"""Of so many of the newest items the nearest are looked for."""


class Nearest:
    """Compares items with those of a history by the cosine of their vectors.

    Args:
        catalogue: ids and titles.
        version: vectors; without a version nothing is near.
        history: of the user.
    """

    def __init__(self, catalogue: Catalogue, version: Scorer | None, history: SequenceState) -> None:
        self._catalogue = catalogue
        self._vectors = None if version is None else version.vectors
        rows = list(dict.fromkeys(reversed(catalogue.rows(history.item_ids))))
        self._rows: list[int] = [] if self._vectors is None else self._vectors.with_vector(rows)[:MAX_HISTORY].tolist()
        self._units = None if self._vectors is None else unit(self._vectors.values[self._rows])

    def to(self, row: int) -> list[dict[str, Any]]:
        """The nearest items, best first, and of equals the newest; none for an item without a vector."""
        if self._vectors is None or self._units is None or not self._rows or not self._vectors.present[row]:
            return []
        cosines = self._units @ unit(self._vectors.values[row : row + 1])[0]
        return [
            {
                "item_id": self._catalogue.ids[self._rows[place]],
                "title": self._catalogue.titles[self._rows[place]],
                "similarity": float(np.clip(cosines[place], -1.0, 1.0)),
            }
            for place in np.argsort(-cosines, kind="stable")[:NEAREST].tolist()
        ]
