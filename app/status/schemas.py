"""Shape of the status on the wire."""

from pydantic import BaseModel


class Status(BaseModel):
    """Counts of one project."""

    project: str
    items: dict[str, int]
    media: dict[str, dict[str, int]]
    events: int
    users: int
    live_model: str | None
    jobs: dict[str, int]
