"""Studies in the service's PostgreSQL: tables in a schema of their own, each study for one process at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.storages import RDBStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, NullPool, create_engine, text

from app.core.errors import CrossanError
from app.core.types import ProjectId

SCHEMA = "optuna"
"""Our migrations look at `public` only, so the two never meet."""
LOCKS = 0x74756E65
"""First half of the advisory lock keys; the second is a hash of the study's name, 0 for the schema."""
PATIENCE_S = 5.0
"""How long the connection of a killed search may take to be noticed."""
SEED = 0
FREE_TRIALS, FREE_EPOCHS = 5, 2
"""Complete trials before any is pruned, and epochs of each that are not judged: the warm-up and a first look."""
ATTEMPTS = 3
"""How often a trial that its process did not finish is begun."""
ATTEMPT, DEFAULTS = "attempt", "defaults"
"""Marks of a trial: which attempt at its point it is, and that the point is the defaults."""


class StudyUnusable(CrossanError):
    """The study is being searched by another process, or was made for another search."""

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


@contextmanager
def opened(database_url: str, key: StudyKey) -> Iterator[Study]:
    """The study, made if it is new, for this process alone; what a killed one has left is put in order.

    Raises:
        StudyUnusable: another process has it, or it searches something else.
    """
    with _held(database_url, key.stored):
        storage = _storage(database_url)
        try:
            yield _study(storage, key)
        finally:
            storage.engine.dispose()


@contextmanager
def _held(database_url: str, name: str) -> Iterator[None]:
    """Holds the study as long as the connection lives: a killed process lets go of it by itself."""
    with _connection(database_url) as connection:
        until = time.monotonic() + PATIENCE_S
        wish = {"locks": LOCKS, "name": name}
        while not connection.scalar(text("SELECT pg_try_advisory_lock(:locks, hashtext(:name))"), wish):
            if time.monotonic() >= until:
                shown = name.partition("/")[2]
                raise StudyUnusable(f"The study '{shown}' is being searched by another process; choose another name.")
            time.sleep(PATIENCE_S / 20)
        yield


@contextmanager
def _connection(database_url: str) -> Iterator[Connection]:
    engine = create_engine(database_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection


def _storage(database_url: str) -> RDBStorage:
    """Optuna's tables, made if they are missing; by one process at a time, for it does not expect a second."""
    own = {"options": f"-csearch_path={SCHEMA}"}
    with _connection(database_url) as connection:
        connection.execute(text("SELECT pg_advisory_lock(:locks, 0)"), {"locks": LOCKS})
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
        return RDBStorage(database_url, engine_kwargs={"connect_args": own, "pool_pre_ping": True})


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
