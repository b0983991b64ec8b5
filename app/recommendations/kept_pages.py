"""A page that was made for a user, given again as long as it would come out the same."""

from dataclasses import dataclass
from typing import Any
from weakref import ref

import numpy as np
import orjson
from numpy.typing import NDArray

from app.recommendations.listing import Listing
from app.recommendations.planning import Plan, served_by
from app.recommendations.served import ServedVersion
from app.recommendations.state import ProjectState
from app.recommendations.view import Ranked

MAX_ITEMS = 100
"""Longer pages are not kept."""


@dataclass(frozen=True)
class KeptPage:
    """The first page of a plain list, with everything that it depends on besides the user's events.

    Masks and versions are large, and live no longer for a page that was made with them.

    Attributes:
        plan: that it was made by.
        showable: the catalogue's mask at that time: another one after every change of an item and every publication.
        version: that ranked it.
        revision: of the item vectors.
        ranked: the page.
        items: the items as JSON.
    """

    plan: Plan
    showable: ref[NDArray[np.bool_]]
    version: ref[ServedVersion]
    revision: int
    ranked: Ranked
    items: orjson.Fragment

    @classmethod
    def of(
        cls, state: ProjectState, plan: Plan, listing: Listing, items: list[dict[str, Any]], *, now: float
    ) -> "KeptPage | None":
        """The page, if it can be kept: personal, and depending neither on the time nor on chance."""
        version = listing.version
        if version is None or listing.ranked.fallback is not None or len(items) > MAX_ITEMS or not plan.is_steady:
            return None
        showable = ref(state.catalogue.showable(now=now))
        content = orjson.Fragment(orjson.dumps(items))
        return cls(plan, showable, ref(version), version.vectors.revision, listing.ranked, content)

    def holds(self, state: ProjectState, plan: Plan, *, now: float) -> bool:
        """Whether it would come out the same now."""
        version = served_by(state, plan.side.version)
        return (
            self.plan is plan
            and version is not None
            and self.version() is version
            and self.revision == version.vectors.revision
            and self.showable() is state.catalogue.showable(now=now)
        )

    @property
    def listing(self) -> Listing:
        """The list again, while the page holds."""
        return Listing(self.ranked, self.version())
