"""Shape of an answer on the wire; it documents the route, the hot path writes the same JSON directly."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

MAX_LIMIT = 1_000
Fallback = Literal["trending", "latest"]


class RecommendedItem(BaseModel):
    """One item of an answer. `shares` says how much each modality has in the item's vector."""

    item_id: str
    rank: int
    score: float | None
    title: str
    shares: dict[str, float] | None


class Recommendation(BaseModel):
    """The items a user would want next, best first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "recommendation_id": "0198c0de-0000-7000-8000-000000000000",
                    "user_id": "u1",
                    "model_version": "v3",
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
                }
            ]
        }
    )

    recommendation_id: str
    user_id: str
    model_version: str | None
    personalised: bool
    fallback: Fallback | None = Field(description="How the list was made when it is not personal.")
    items: list[RecommendedItem]
