"""Studies in the service's PostgreSQL: tables in a schema of their own, each study for one process at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.storages import RDBStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from psycopg.errors import InsufficientPrivilege, InvalidSchemaName
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import DBAPIError

from app.core.errors import CrossanError
from app.core.types import ProjectId
from app.db.session import WAIT_S

SCHEMA = "optuna"
"""Our migrations look at `public` only, so the two never meet."""
LOCKS = 0x74756E65
"""First half of the advisory lock keys; the second is a hash of the study's name, 0 for the schema."""
PATIENCE_S = 5.0
"""How long the connection of a killed search may take to be noticed."""
LONG_LIVED = {"connect_timeout": WAIT_S, "keepalives_idle": 60, "options": "-c idle_session_timeout=0"}
"""Of a connection that says nothing during a trial, which may take hours: nobody shall end it for that."""
SEED = 0
FREE_TRIALS, FREE_EPOCHS = 5, 2
"""Complete trials before any is pruned, and epochs of each that are not judged: the warm-up and a first look."""
ATTEMPTS = 3
"""How often a trial that its process did not finish is begun."""
ATTEMPT, DEFAULTS = "attempt", "defaults"
"""Marks of a trial: which attempt at its point it is, and that the point is the defaults."""


class StudyUnusable(CrossanError):
    """The study is being searched by another process, was made for another search, or cannot be kept."""

    slug = "study-unusable"


@dataclass(frozen=True)
class StudyKey:
    """Which study, and what it searches.

    Attributes:
        project: whose.
        name: as the person calls it; unique in the project.
        search: method, fixed hyperparameters and space; trials of different ones can't be compared.
    """

    project: ProjectId
    name: str
    search: Mapping[str, Any]

    @property
    def stored(self) -> str:
        """The name among all projects' studies."""
        return f"{self.project}/{self.name}"


@dataclass(frozen=True)
class HeldStudy:
    """A study that is this process's own.

    Attributes:
        study: it.
        check: raises StudyUnusable if it is that no longer, for the connection that holds it was lost.
    """

    study: Study
    check: Callable[[], None]


@contextmanager
def opened(database_url: str, key: StudyKey) -> Iterator[HeldStudy]:
    """The study, made if it is new, for this process alone; what a killed one has left is put in order.

    Raises:
        StudyUnusable: another process has it, it searches something else, or the database does not let us keep it.
    """
    with _held(database_url, key.stored) as check:
        with _allowed():
            storage = _storage(database_url)
        try:
            with _allowed():
                study = _study(storage, key)
            yield HeldStudy(study, check)
        finally:
            storage.engine.dispose()


@contextmanager
def _held(database_url: str, name: str) -> Iterator[Callable[[], None]]:
    """Holds the study as long as the connection lives: a killed process lets go of it by itself."""
    shown = name.partition("/")[2]
    with _connection(database_url) as connection:
        until = time.monotonic() + PATIENCE_S
        wish = {"locks": LOCKS, "name": name}
        while not connection.scalar(text("SELECT pg_try_advisory_lock(:locks, hashtext(:name))"), wish):
            if time.monotonic() >= until:
                raise StudyUnusable(f"The study '{shown}' is being searched by another process; choose another name.")
            time.sleep(PATIENCE_S / 20)

        def check() -> None:
            try:
                connection.execute(text("SELECT 1"))
            except DBAPIError as error:
                raise StudyUnusable(
                    f"The connection to the database that held the study '{shown}' was lost, and another process may "
                    "have it by now. What is finished is kept: the same command goes on from there."
                ) from error

        yield check


@contextmanager
def _connection(database_url: str) -> Iterator[Connection]:
    engine = create_engine(database_url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=LONG_LIVED)
    with engine.connect() as connection:
        yield connection


@contextmanager
def _allowed() -> Iterator[None]:
    """Says what is missing when the database refuses us the schema."""
    try:
        yield
    except (DBAPIError, StorageInternalError) as error:
        source = error.__cause__ if isinstance(error, StorageInternalError) else error
        reason = getattr(source, "orig", None)
        if not isinstance(reason, InsufficientPrivilege | InvalidSchemaName):
            raise
        raise StudyUnusable(
            f"The database lets this role neither make nor fill the schema '{SCHEMA}', which keeps the studies "
            f"({' '.join(str(reason).split())}). Its owner can: CREATE SCHEMA {SCHEMA} AUTHORIZATION the_role."
        ) from error


def _storage(database_url: str) -> RDBStorage:
    """Optuna's tables, made if they are missing; by one process at a time, for it does not expect a second."""
    own = {"options": f"-csearch_path={SCHEMA}"}
    with _connection(database_url) as connection:
        connection.execute(text("SELECT pg_advisory_lock(:locks, 0)"), {"locks": LOCKS})
        # IF NOT EXISTS would ask for the privilege to create one even where there is one.
        if connection.scalar(text("SELECT to_regnamespace(:name) IS NULL"), {"name": SCHEMA}):
            connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
        # Without a pool: of a storage that can't be made for lack of a privilege, nobody could close the connections.
        return RDBStorage(database_url, engine_kwargs={"connect_args": own, "poolclass": NullPool})


def _study(storage: RDBStorage, key: StudyKey) -> Study:
    pruner = MedianPruner(n_startup_trials=FREE_TRIALS, n_warmup_steps=FREE_EPOCHS + 1)
    study = optuna.create_study(
        storage=storage, study_name=key.stored, direction="maximize", load_if_exists=True, pruner=pruner
    )
    known = study.user_attrs.get("search")
    if known is None:
        study.set_user_attr("search", key.search)
    elif known != key.search:
        raise StudyUnusable(
            f"The study '{key.name}' searches {known['method']} with {known['fixed'] or 'nothing'} fixed, "
            "or was made by another version; choose another name."
        )
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        try_again(study, trial)
    # From where it stopped, not from the beginning: the same seed would propose the same first points again.
    study.sampler = TPESampler(seed=SEED + len(study.get_trials(deepcopy=False)))
    return study


def try_again(study: Study, trial: FrozenTrial) -> None:
    """Put a trial that its process did not finish at the head of the queue, unless it has had its attempts."""
    attempt = trial.user_attrs.get(ATTEMPT, 1)
    if attempt < ATTEMPTS:
        point = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
        marks = {name: trial.user_attrs[name] for name in (DEFAULTS,) if name in trial.user_attrs}
        study.enqueue_trial(point, user_attrs={**marks, ATTEMPT: attempt + 1})


def begin_with(study: Study, point: Mapping[str, Any]) -> None:
    """Have the defaults tried first, once in the life of the study."""
    if not any(DEFAULTS in trial.user_attrs for trial in study.get_trials(deepcopy=False)):
        study.enqueue_trial(dict(point), user_attrs={DEFAULTS: True})
