"""Queries for erasures, and for what may remember the person."""

import hashlib
import hmac
import os
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select, text

from app.core.jobs import JobKind
from app.core.types import JobState
from app.db.repository import Repository
from app.db.tables import ErasureRow, JobRow, ModelVersionRow

SALT_BYTES = 16
SCRYPT = {"n": 2**14, "r": 8, "p": 1}
"""Some 50 ms and 16 MiB for each guess (Percival, 2009)."""


def digest_of(user_id: str, salt: bytes) -> bytes:
    """A slow hash of an id, 64 bytes: who guesses ids pays for each."""
    return hashlib.scrypt(user_id.encode(), salt=salt, **SCRYPT)


def concerns(row: ErasureRow, user_id: str) -> bool:
    """Whether the erased person had this id."""
    return hmac.compare_digest(digest_of(user_id, row.salt), row.digest)


class ErasureRepository(Repository):
    """The erasures of one project."""

    def hold(self) -> None:
        """One erasure of a project at a time, so that they are numbered in the order of their commits."""
        lock = text("SELECT pg_advisory_xact_lock(hashtextextended('erasure', :project))")
        self.session.execute(lock, {"project": self.project})

    def add(self, user_id: str, *, first_event: int | None, report: dict[str, Any]) -> ErasureRow:
        """The next erasure; the caller holds them."""
        salt = os.urandom(SALT_BYTES)
        row = ErasureRow(
            project_id=self.project,
            number=self.newest() + 1,
            salt=salt,
            digest=digest_of(user_id, salt),
            first_event=first_event,
            report=report,
        )
        self.session.add(row)
        self.session.flush()
        self.session.refresh(row)
        return row

    def newest(self) -> int:
        """Number of the last one, 0 if there is none."""
        query = select(func.coalesce(func.max(ErasureRow.number), 0)).where(ErasureRow.project_id == self.project)
        return self.session.scalars(query).one()

    def get(self, number: int) -> ErasureRow | None:
        """One erasure."""
        return self.session.get(ErasureRow, (self.project, number), populate_existing=True)

    def hold_report(self, number: int) -> None:
        """Nobody else changes this report until the transaction ends."""
        query = select(ErasureRow.number).where(ErasureRow.project_id == self.project, ErasureRow.number == number)
        self.session.execute(query.with_for_update())

    def page(self, *, limit: int, before: int | None) -> Sequence[ErasureRow]:
        """Some erasures, newest first."""
        query = select(ErasureRow).where(ErasureRow.project_id == self.project)
        if before is not None:
            query = query.where(ErasureRow.number < before)
        return self.session.scalars(query.order_by(ErasureRow.number.desc()).limit(limit)).all()

    def since(self, number: int, *, until_event: int) -> Sequence[ErasureRow]:
        """Later erasures of people who had events numbered up to `until_event`."""
        query = select(ErasureRow).where(
            ErasureRow.project_id == self.project, ErasureRow.number > number, ErasureRow.first_event <= until_event
        )
        return self.session.scalars(query.order_by(ErasureRow.number)).all()

    def add_version(self, erasures: Sequence[ErasureRow], version: str) -> None:
        """Say of these erasures that a version published after them has seen the person all the same."""
        for row in erasures:
            self.session.refresh(row, with_for_update=True)
            row.report = {**row.report, "model_versions": [version, *row.report["model_versions"]]}
        self.session.flush()

    def versions_until(self, event: int) -> Sequence[str]:
        """Versions whose cut goes to this event or further, newest first."""
        until = ModelVersionRow.manifest["meta"]["data_cut"]["until_event"].as_integer()
        query = select(ModelVersionRow).where(ModelVersionRow.project_id == self.project, until >= event)
        return [row.name for row in self.session.scalars(query.order_by(ModelVersionRow.number.desc()))]

    def trainings_until(self, event: int) -> Sequence[tuple[UUID, JobState]]:
        """Open trainings whose cut goes to this event or further, or that are reading theirs right now."""
        until = JobRow.progress["data_cut"]["until_event"].as_integer()
        reading = (JobRow.state == JobState.RUNNING) & until.is_(None)
        open_ones = JobRow.state.in_([JobState.QUEUED, JobState.RUNNING])
        query = select(JobRow.id, JobRow.state).where(
            *self._jobs(JobKind.TRAIN), open_ones, or_(until >= event, reading)
        )
        return [(job, JobState(state)) for job, state in self.session.execute(query.order_by(JobRow.created_at))]

    def transfers(self, *, keep_s: float) -> Sequence[UUID]:
        """Imports and exports whose files may still be there."""
        kept = or_(JobRow.finished_at.is_(None), JobRow.finished_at > func.now() - timedelta(seconds=keep_s))
        query = select(JobRow.id).where(*self._jobs(JobKind.IMPORT, JobKind.EXPORT), kept)
        return self.session.scalars(query.order_by(JobRow.created_at)).all()

    def _jobs(self, *kinds: JobKind) -> tuple[ColumnElement[bool], ...]:
        return (JobRow.project_id == self.project, JobRow.kind.in_(kinds))
