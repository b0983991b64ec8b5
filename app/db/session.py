"""The database and its transactions: the only place that commits."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import create_engine
from sqlalchemy.orm import Session, sessionmaker

from app.telemetry import tracing

Action = Callable[[], None]
WAIT_S = 10
"""Longest wait for a connection, in seconds."""


class Transaction:
    """One request's or task's session, with what has to happen right before and right after its commit."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._before: list[Action] = []
        self._after: list[Action] = []

    def before_commit(self, action: Action) -> None:
        """Run `action` when the work is done and before it becomes visible; if it raises, nothing is committed."""
        self._before.append(action)

    def after_commit(self, action: Action) -> None:
        """Run `action` once the work is durable. A crash may skip it: it must only hasten what happens anyway."""
        self._after.append(action)

    def _run(self, actions: list[Action]) -> None:
        for action in actions:
            action()


class Database:
    """A pool of connections to one PostgreSQL.

    Args:
        url: SQLAlchemy URL with the psycopg driver.
        pool_size: connections held; as many again may be opened under load.
    """

    def __init__(self, url: str, *, pool_size: int = 8) -> None:
        self.engine = create_engine(
            url,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_pre_ping=True,
            pool_timeout=WAIT_S,
            connect_args={"connect_timeout": WAIT_S},
            # Errors go to logs and answers: they must not carry what people wrote.
            hide_parameters=True,
        )
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Commit on a normal exit, roll back on any exception; actions after the commit follow it."""
        with tracing.span("transaction", db_system_name="postgresql"), self._sessions() as session:
            transaction = Transaction(session)
            yield transaction
            session.flush()
            transaction._run(transaction._before)
            session.commit()
        transaction._run(transaction._after)

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()
