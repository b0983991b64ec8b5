"""Shapes of recorded and replayed answers on the wire."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field


class RecordedItem(BaseModel):
    """One item in its place; `propensity` is the probability with which it stood there, given those above it."""

    rank: int
    item_id: str
    score: float | None
    source: str
    propensity: float


class HistoryRead(BaseModel):
    """Which of the user's events the answer was made from: how many, the highest number, and a digest of them all."""

    count: int
    through: int
    digest: str


class AnswerRead(BaseModel):
    """What is recorded of an answer."""

    recommendation_id: UUID
    at: datetime
    user_id: str | None
    model_version: str | None
    scenario: str | None
    experiment_id: int | None
    arm: str | None
    options: dict[str, Any] = Field(description="The options as resolved, without those that have their defaults.")
    session: list[dict[str, Any]] | None
    history: HistoryRead | None
    rotated: dict[str, float] = Field(description="Items that were sunk as shown lately, with seconds since 1970.")
    fallback: str | None
    previous_id: UUID | None = Field(description="The page before, in a list that goes on.")
    items: list[RecordedItem]
    seen_ranks: list[int] | None = Field(description="Ranks that the client reported as seen; null without a report.")


class Move(BaseModel):
    """A rule that decides where the item stands: without it it would stand elsewhere."""

    rule: str
    rank_without: int | None = Field(description="Its rank without the rule; null if it were not on this page.")


class NearItem(BaseModel):
    """An item of the history that is near, by the cosine of the vectors."""

    item_id: str
    title: str
    similarity: float


class ItemExplanation(BaseModel):
    """Why an item stands where it stands."""

    rank: int
    item_id: str
    title: str
    score: float | None
    rank_by_score: int | None = Field(
        description="Its rank among all items that might stand in the list, by score alone (in a fallback: by its "
        "place among the candidates), before any rule; null for a pinned item that might not."
    )
    moved_by: list[Move]
    nearest: list[NearItem]
    shares: dict[str, float] | None


class Difference(BaseModel):
    """A rank at which the two lists differ."""

    rank: int
    recorded: str | None
    recomputed: str | None


class ReplayRead(BaseModel):
    """An answer computed again from what it was made from."""

    answer: AnswerRead
    identical: bool = Field(description="The same items from the same sources in the same order, with the same scores.")
    history_exact: bool | None = Field(description="Whether the user's events are those of then; null for a session.")
    largest_score_difference: float
    recomputed: list[RecordedItem]
    differences: list[Difference]
    explanations: list[ItemExplanation]
