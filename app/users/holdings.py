"""Where the database holds something of a person: every table with a user's id, whoever made it."""

from typing import Any, cast

from sqlalchemy import CursorResult, Table, delete, update
from sqlalchemy.orm import Session

from app.core.types import ProjectId
from app.db.base import Base
from app.db.tables import EventRow, IdempotentRequestRow, UserRow


def personal_tables() -> list[Table]:
    """All tables that name users, in the order of their names; a new one is among them by itself."""
    tables = Base.metadata.tables.values()
    return sorted(
        (table for table in tables if {"project_id", "user_id"} <= set(table.columns.keys())),
        key=lambda table: table.name,
    )


def other_tables() -> list[Table]:
    """Those besides users and events."""
    own = (UserRow.__tablename__, EventRow.__tablename__)
    return [table for table in personal_tables() if table.name not in own]


def delete_everything(session: Session, project: ProjectId, user_id: str) -> dict[str, int]:
    """Delete every row of a user; how many there were in each table."""
    removed: dict[str, int] = {}
    for table in personal_tables():
        mine = delete(table).where(table.c.project_id == project, table.c.user_id == user_id)
        removed[table.name] = cast(CursorResult[Any], session.execute(mine)).rowcount
    removed[IdempotentRequestRow.__tablename__] = forget_requests(session, project, user_id)
    return removed


def rename_others(session: Session, project: ProjectId, *, old: str, new: str) -> None:
    """Have the rows of the other tables belong to another user."""
    for table in other_tables():
        mine = update(table).where(table.c.project_id == project, table.c.user_id == old)
        session.execute(mine.values(user_id=new))


def forget_requests(session: Session, project: ProjectId, user_id: str) -> int:
    """Delete what is kept for requests that are sent again with their `Idempotency-Key`; how many had been answered.

    One that runs, such as the one that asks for this, goes on without its path: nothing reads it but this.
    """
    row = IdempotentRequestRow
    path = f"/users/{user_id}"
    of_the_user = (row.path == path) | row.path.startswith(f"{path}/", autoescape=True)
    answered = delete(row).where(row.project_id == project, of_the_user, row.status.is_not(None))
    running = update(row).where(row.project_id == project, of_the_user).values(path="")
    removed = cast(CursorResult[Any], session.execute(answered)).rowcount
    session.execute(running)
    return removed
