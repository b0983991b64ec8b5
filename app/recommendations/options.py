"""The options of a ranking, under the name by which the domains above know them."""

from app.scenarios.options import MAX_LIMIT, RankingOptions

__all__ = ["MAX_LIMIT", "RankingOptions"]
