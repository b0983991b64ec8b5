"""How soon an upload can be recommended: seconds from a content's arrival to a vector under the live version."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func
from sqlalchemy.dialects.postgresql import insert

from app.core.types import ProjectId
from app.db.session import Transaction
from app.db.tables import ArrivalRow, FreshnessRow

BOUNDS_S = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0, 3_600.0, math.inf)
"""Upper bounds of the buckets, in seconds. Rows of `freshness` hold indices: add at the end only."""


def count_fresh(transaction: Transaction, project: ProjectId, item_pks: Sequence[int], *, since: datetime) -> None:
    """Count items that have just got their vector; call it last, in the transaction that wrote the vectors.

    Args:
        transaction: holds the items.
        project: theirs.
        item_pks: the items.
        since: contents that came before the serving version was made have waited for it, not for the service: they are
            not counted.
    """
    waited = func.extract("epoch", func.clock_timestamp() - ArrivalRow.arrived_at)
    arrived = delete(ArrivalRow).where(ArrivalRow.project_id == project, ArrivalRow.item_pk.in_(item_pks))
    rows = transaction.session.execute(arrived.returning(waited, ArrivalRow.arrived_at)).all()
    seconds = [float(wait) for wait, arrived_at in rows if arrived_at > since]
    buckets: dict[int, list[float]] = {}
    for one in sorted(seconds):
        buckets.setdefault(bisect_left(BOUNDS_S, one), []).append(one)
    for bucket, waits in buckets.items():
        added = insert(FreshnessRow).values(project_id=project, bucket=bucket, items=len(waits), seconds=sum(waits))
        grown = {
            "items": FreshnessRow.items + added.excluded["items"],
            "seconds": FreshnessRow.seconds + added.excluded.seconds,
        }
        transaction.session.execute(added.on_conflict_do_update(index_elements=["project_id", "bucket"], set_=grown))
