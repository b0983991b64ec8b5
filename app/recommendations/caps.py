"""Counts the categories of a page, so that none gets more places than its cap."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from app.recommendations.options import RankingOptions


def has_caps(options: RankingOptions) -> bool:
    """Whether any category has a cap."""
    return options.category_cap is not None or bool(options.category_caps)


class Caps:
    """Counts the categories of a page."""

    def __init__(self, options: RankingOptions, categories: Callable[[int], Iterable[str]]) -> None:
        self._named = options.category_caps
        self._most = options.category_cap
        self._categories = categories
        self._counts: Counter[str] = Counter()
        self.full: set[str] = {name for name, most in self._named.items() if most == 0}

    def allow(self, row: int) -> bool:
        """Whether none of the row's categories is full."""
        return self.full.isdisjoint(self._categories(row))

    def note(self, rows: Iterable[int]) -> list[str]:
        """Count rows that have got a place; the categories that are full from now on."""
        names = [name for row in rows for name in set(self._categories(row))]
        self._counts.update(names)
        filled = [name for name in set(names) if self._is_full(name) and name not in self.full]
        self.full.update(filled)
        return filled

    def members(self, rows: Sequence[int]) -> dict[str, list[int]]:
        """Places in `rows` of each category."""
        places: dict[str, list[int]] = {}
        for place, row in enumerate(rows):
            for name in self._categories(row):
                places.setdefault(name, []).append(place)
        return places

    def _is_full(self, name: str) -> bool:
        most = self._named.get(name, self._most)
        return most is not None and self._counts[name] >= most
