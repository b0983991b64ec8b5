"""The options of a ranking: what a request may ask for, and what a scenario bundles."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, field_validator

from app.core.text import EventType, Identifier, Name

MAX_LIMIT = 1_000
MAX_IDS = 1_000
MAX_NAMES = 100
MAX_PINS = 100
MAX_FILTER_CHARACTERS = 4_000
DAY_S = 86_400.0
LONGEST_S = 100 * 366 * DAY_S

Share = Annotated[FiniteFloat, Field(ge=0, le=1)]
Seconds = Annotated[FiniteFloat, Field(ge=0, le=LONGEST_S)]


class RankingOptions(BaseModel):
    """How a list is made. A field that is not set comes from the scenario, if there is one, or is the default.

    Defaults are part of what past answers mean (a record keeps only what differs from them), so they never change.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "limit": 20,
                    "categories": ["sea"],
                    "filter": "price < 30 and not (brand = 'acme')",
                    "diversity": 0.3,
                    "category_caps": {"sea": 5},
                    "pinned": {"i7": 1},
                    "rotation_s": 3600,
                }
            ]
        },
    )

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT, description="The most items of a page.")] = 10
    categories: Annotated[
        tuple[Name, ...] | None,
        Field(max_length=MAX_NAMES, description="Only items that are in at least one of these."),
    ] = None
    filter: Annotated[
        str | None,
        Field(max_length=MAX_FILTER_CHARACTERS, description="Only items whose attributes satisfy this expression."),
    ] = None
    include: Annotated[
        tuple[Identifier, ...] | None, Field(max_length=MAX_IDS, description="Only these items, if they may be shown.")
    ] = None
    exclude: Annotated[
        tuple[Identifier, ...], Field(max_length=MAX_IDS, description="None of these items, not even pinned.")
    ] = ()
    exclude_seen: Annotated[bool, Field(description="Leave out what the user has had to do with.")] = True
    exclude_seen_types: Annotated[
        tuple[EventType, ...] | None,
        Field(max_length=MAX_NAMES, description="Only events of these types make an item seen; all do by default."),
    ] = None
    exclude_seen_max_age_s: Annotated[
        Seconds | None, Field(description="Only events at most this old make an item seen; all do by default.")
    ] = None
    diversity: Annotated[
        Share, Field(description="0 ranks by relevance alone, 1 by unlikeness to the items above alone.")
    ] = 0.0
    freshness_weight: Annotated[
        FiniteFloat,
        Field(
            ge=0,
            le=100,
            description="What an item published right now gains, in standard deviations of the scores.",
        ),
    ] = 0.0
    freshness_half_life_s: Annotated[
        FiniteFloat, Field(gt=0, le=LONGEST_S, description="The age at which half of the gain is left.")
    ] = 7 * DAY_S
    category_cap: Annotated[
        int | None, Field(ge=1, le=MAX_LIMIT, description="The most items of any one category in a page.")
    ] = None
    category_caps: Annotated[
        dict[Name, Annotated[int, Field(ge=0, le=MAX_LIMIT)]],
        Field(max_length=MAX_NAMES, description="The most items of the named categories in a page."),
    ] = Field(default_factory=dict)
    pinned: Annotated[
        dict[Identifier, Annotated[int, Field(ge=1, le=MAX_LIMIT)]],
        Field(
            max_length=MAX_PINS,
            description="The rank at which each of these items stands, whatever filters and history say; "
            "one that may not be shown is left out.",
        ),
    ] = Field(default_factory=dict)
    why: Annotated[bool, Field(description="Say which items of the history are nearest to each answer.")] = False
    rotation_s: Annotated[
        Seconds, Field(description="Items shown to the user in the last so many seconds come after all others.")
    ] = 0.0
    explore: Annotated[
        Share, Field(description="The probability with which a place is given by chance instead of by rank.")
    ] = 0.0
    explore_pool: Annotated[
        int, Field(ge=1, le=MAX_LIMIT, description="Chance chooses among so many of the best, at least a page.")
    ] = 100

    @field_validator("filter")
    @classmethod
    def _empty_is_none(cls, value: str | None) -> str | None:
        return value if value and value.strip() else None

    @field_validator("pinned")
    @classmethod
    def _one_item_a_rank(cls, value: dict[str, int]) -> dict[str, int]:
        if len(set(value.values())) < len(value):
            raise ValueError("two items cannot stand at the same rank")
        return value

    def over(self, base: "RankingOptions") -> "RankingOptions":
        """These options where they are set, those of `base` elsewhere."""
        own = {name: getattr(self, name) for name in self.model_fields_set if name in RankingOptions.model_fields}
        return base.model_copy(update=own)

    def as_json(self) -> dict[str, Any]:
        """What differs from the defaults; `RankingOptions.model_validate` brings it back."""
        return self.model_dump(mode="json", exclude_defaults=True)
