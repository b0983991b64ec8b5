"""Shape of an answer on the wire; it documents the routes, the hot path writes the same JSON directly."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.recommendations.options import MAX_LIMIT
from app.recommendations.view import Fallback

__all__ = ["MAX_LIMIT", "BatchAnswer", "BatchResult", "Fallback", "NearItem", "Recommendation", "RecommendedItem"]

EXAMPLE: dict[str, Any] = {
    "recommendation_id": "0198c0de-0000-7000-8000-000000000000",
    "user_id": "u1",
    "model_version": "v3",
    "scenario": None,
    "experiment": None,
    "arm": None,
    "personalised": True,
    "fallback": None,
    "items": [
        {
            "item_id": "i1",
            "rank": 1,
            "score": 7.25,
            "title": "Harbour at dawn",
            "shares": {"text": 0.25, "image": 0.62, "audio": 0.0, "video": 0.13},
        }
    ],
    "next_cursor": "WyIwMTk4YzBkZS0wMDAwLTcwMDAtODAwMC0wMDAwMDAwMDAwMDAiXQ",
}


class NearItem(BaseModel):
    """An item of the user's history that is near to a recommended one."""

    item_id: str
    title: str
    similarity: float = Field(ge=-1, le=1, description="Cosine of the two item vectors.")


class RecommendedItem(BaseModel):
    """One item of an answer. `shares` says how much each modality has in the item's vector."""

    item_id: str
    rank: int = Field(description="From 1; goes on over the pages of a list.")
    score: float | None = Field(description="Of the version, before freshness; null in a fallback.")
    title: str
    shares: dict[str, float] | None
    why: list[NearItem] = Field(
        default=[], description="What of the history is nearest, best first; there when the request asks why."
    )


class Recommendation(BaseModel):
    """The items a user would want next, best first."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    recommendation_id: str = Field(description="Events may name it, and the next page goes on from it.")
    user_id: str | None = Field(description="Null for a session.")
    model_version: str | None
    scenario: str | None
    experiment: str | None = Field(description="Name of the experiment that chose version or scenario.")
    arm: str | None = Field(description="Its arm; null in an interleaving, where both arms share the list.")
    personalised: bool
    fallback: Fallback | None = Field(description="How the list was made when it is not personal.")
    items: list[RecommendedItem]
    next_cursor: str | None = Field(description="For the next page; null when there is none.")


class BatchResult(BaseModel):
    """The answer to one request of a batch: a recommendation or a problem."""

    status: int = Field(description="The status that the request would have had alone.")
    recommendation: Recommendation | None
    problem: dict[str, Any] | None = Field(description="As in RFC 9457.")


class BatchAnswer(BaseModel):
    """The answers to a batch, in the order of its requests."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "results": [
                        {"status": 200, "recommendation": EXAMPLE, "problem": None},
                        {
                            "status": 404,
                            "recommendation": None,
                            "problem": {
                                "type": "/problems/scenario-not-found",
                                "title": "Scenario not found",
                                "status": 404,
                                "detail": "There is no scenario 'home' in this project.",
                                "scenario": "home",
                            },
                        },
                    ]
                }
            ]
        }
    )

    results: list[BatchResult]
