"""Why an item is recommended: what of the user's history is nearest to it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from app.recommendations.catalogue import Catalogue
from app.recommendations.diversity import unit
from app.recommendations.memory import History, RememberedPast
from app.recommendations.view import Scorer

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

    def __init__(self, catalogue: Catalogue, version: Scorer | None, history: History) -> None:
        self._catalogue = catalogue
        self._vectors = None if version is None else version.vectors
        rows = list(dict.fromkeys(reversed(RememberedPast.of(history).rows(catalogue).tolist())))
        self._rows: list[int] = [] if self._vectors is None else self._vectors.with_vector(rows)[:MAX_HISTORY].tolist()
        self._units = None if self._vectors is None else unit(self._vectors.values[self._rows])

    def to(self, rows: Sequence[int]) -> list[list[dict[str, Any]]]:
        """The nearest items to each row, best first, and of equals the newest; none to an item without a vector."""
        if self._vectors is None or self._units is None or not self._rows or not rows:
            return [[] for _ in rows]
        cosines = np.clip(unit(self._vectors.values[list(rows)]) @ self._units.T, -1.0, 1.0)
        order = np.argsort(-cosines, axis=1, kind="stable")[:, :NEAREST]
        nearest = np.take_along_axis(cosines, order, axis=1)
        present = self._vectors.present[list(rows)].tolist()
        found = zip(order.tolist(), nearest.tolist(), present, strict=True)
        return [self._named(places, values) if has_vector else [] for places, values, has_vector in found]

    def _named(self, places: Sequence[int], similarities: Sequence[float]) -> list[dict[str, Any]]:
        ids, titles = self._catalogue.ids, self._catalogue.titles
        rows = [self._rows[place] for place in places]
        return [
            {"item_id": ids[row], "title": titles[row], "similarity": similarity}
            for row, similarity in zip(rows, similarities, strict=True)
        ]
