"""A page that was made for a user, given again as long as it would come out the same."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from app.recommendations.listing import Listing
from app.recommendations.planning import Plan, served_by
from app.recommendations.state import ProjectState

MAX_ITEMS = 100
"""Longer pages are not kept."""


@dataclass(frozen=True)
class KeptPage:
    """The first page of a plain list, with everything that it depends on besides the user's events.

    Attributes:
        plan: that it was made by.
        showable: the catalogue's mask at that time: another one after every change of an item and every publication.
        revision: of the item vectors.
        listing: the page.
        items: the items as JSON.
    """

    plan: Plan
    showable: NDArray[np.bool_]
    revision: int
    listing: Listing
    items: orjson.Fragment

    @classmethod
    def of(
        cls, state: ProjectState, plan: Plan, listing: Listing, items: list[dict[str, Any]], *, now: float
    ) -> "KeptPage | None":
        """The page, if it can be kept: personal, and depending neither on the time nor on chance."""
        version = listing.version
        if version is None or listing.ranked.fallback is not None or len(items) > MAX_ITEMS or not plan.is_steady:
            return None
        showable = state.catalogue.showable(now=now)
        return cls(plan, showable, version.vectors.revision, listing, orjson.Fragment(orjson.dumps(items)))

    def holds(self, state: ProjectState, plan: Plan, *, now: float) -> bool:
        """Whether it would come out the same now."""
        version = served_by(state, plan.side.version)
        return (
            self.plan is plan
            and version is not None
            and self.listing.version is version
            and self.revision == version.vectors.revision
            and self.showable is state.catalogue.showable(now=now)
        )
