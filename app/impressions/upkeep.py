"""What is forgotten of answers in time."""

from datetime import UTC, datetime
from time import time as now

from app.db.session import Transaction
from app.impressions.repository import delete_answers

BATCH = 5_000
"""Answers of a project in one transaction: beat comes again within seconds."""
DAY_S = 86_400


def forget_answers(transaction: Transaction, *, days: int) -> int:
    """Delete answers older than `days`, a batch at a time; how many there were."""
    before = datetime.fromtimestamp(now() - days * DAY_S, UTC)
    return delete_answers(transaction, before=before, limit=BATCH)
