"""The trials of a search: one training each, cut short when it falls behind, and what became of them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import optuna
import torch
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from app.core.errors import TrainingFailed
from model.config import ConfigError, parse_config
from model.data.dataset import Dataset, TrainingDataError
from model.train import Progress, TrainingDiverged, TrainingStopped, fit
from model.tuning_space import Dimension, defaults_of, space_of
from worker.tune_study import DEFAULTS, HeldStudy, begin_with, try_again

COMPLETE, PRUNED, STOPPED, FAILED = "complete", "pruned", "stopped", "failed"
FAILURES = (TrainingDiverged, TrainingDataError, ConfigError, torch.OutOfMemoryError, MemoryError)
"""What a configuration can do to a training; the search goes on without it."""
HOPELESS = 5
"""So many failures in a row end the search: it is not the configurations."""
OUTCOME, VALIDATION, SETTINGS = "outcome", "validation", "hyperparameters"
"""Marks of a trial: how it ended, its best epoch's validation metrics, and all that it was trained with."""

Tell = Callable[[str, Mapping[str, Any]], None]
"""Called with the kind of an event and what there is to say of it."""


@dataclass(frozen=True)
class Limits:
    """When a search ends: at a time (of the monotonic clock), after so many trials, or when it is asked to."""

    until: float
    trials: int | None = None
    asked: threading.Event = field(default_factory=threading.Event)

    def over(self) -> bool:
        """Whether the running trial has to stop."""
        return self.asked.is_set() or time.monotonic() >= self.until


@dataclass(frozen=True)
class Ended:
    """How a trial ended."""

    outcome: str
    validation: Mapping[str, float] | None = None
    error: str | None = None


class Search:
    """Tries configurations of a method on a dataset, the defaults first.

    Args:
        held: remembers trials, proposes and prunes.
        dataset: to learn from; its test set is never looked at.
        method: its name.
        fixed: hyperparameters that are not varied.
        limits: when to end.
        tell: hears of every epoch (`epoch`) and of the end of every trial (`ended`).
        device: as torch names it.
    """

    def __init__(
        self,
        held: HeldStudy,
        dataset: Dataset,
        *,
        method: str,
        fixed: Mapping[str, Any],
        limits: Limits,
        tell: Tell,
        device: str,
    ) -> None:
        self._study, self._check = held.study, held.check
        self._dataset = dataset
        self._method = method
        self._fixed = dict(fixed)
        self._limits = limits
        self._tell = tell
        self._device = device
        self._space = space_of(method, fixed)

    def run(self) -> int:
        """Search until a limit is reached; returns how many trials were begun.

        Raises:
            TrainingFailed: when nothing can be trained at all.
            StudyUnusable: when the study is no longer this process's own.
        """
        begin_with(self._study, defaults_of(self._method, self._fixed))
        begun = failures = 0
        while not self._limits.over() and begun != self._limits.trials and failures != HOPELESS:
            self._check()
            ended = self._try(self._study.ask())
            begun += 1
            failures = failures + 1 if ended.outcome == FAILED else 0
            if failures == HOPELESS and best_of(self._study) is None:
                raise TrainingFailed(f"{failures} trials in a row failed, the last one because: {ended.error}")
        return begun

    def _try(self, trial: Trial) -> Ended:
        settings = {**self._fixed, **_point(trial, self._space)}
        trial.set_user_attr(SETTINGS, settings)
        watch = _Watch(trial, self._tell)
        started = time.monotonic()
        ended = self._fit(settings, watch)
        self._conclude(trial, ended)
        self._tell(
            "ended",
            {"trial": trial.number, "seconds": time.monotonic() - started, **vars(ended), SETTINGS: settings},
        )
        return ended

    def _fit(self, settings: Mapping[str, Any], watch: _Watch) -> Ended:
        try:
            trained = fit(
                self._dataset,
                parse_config(self._method, settings),
                on_progress=watch.see,
                should_stop=self._limits.over,
                device=self._device,
                test=False,
            )
        except optuna.TrialPruned:
            return Ended(PRUNED)
        except TrainingStopped:
            return Ended(STOPPED, watch.best)
        except FAILURES as error:
            return Ended(FAILED, error=str(error) or type(error).__name__)
        return Ended(COMPLETE, trained.metrics["validation"])

    def _conclude(self, trial: Trial, ended: Ended) -> None:
        """Write down how it ended; the state comes last, so that a killed process leaves nothing half written."""
        trial.set_user_attr(OUTCOME, ended.outcome)
        if ended.validation:
            trial.set_user_attr(VALIDATION, dict(ended.validation))
        if ended.error:
            trial.set_user_attr("error", ended.error)
        if ended.outcome == COMPLETE and ended.validation:
            self._study.tell(trial, ended.validation["ndcg10"])
            return
        learned = ended.outcome == PRUNED or ended.validation
        frozen = self._study.tell(trial, state=TrialState.PRUNED if learned else TrialState.FAIL)
        if ended.outcome == STOPPED:
            try_again(self._study, frozen)


def _point(trial: Trial, space: tuple[Dimension, ...]) -> dict[str, Any]:
    return {one.name: one.suggested(trial) for one in space}


class _Watch:
    """Reports complete epochs of a trial; ends it when it falls behind the others."""

    def __init__(self, trial: Trial, tell: Tell) -> None:
        self._trial = trial
        self._tell = tell
        self.best: dict[str, float] | None = None

    def see(self, progress: Progress) -> None:
        """Take note of an epoch; raises TrialPruned."""
        self._trial.report(progress.ndcg10, progress.epoch)
        if self.best is None or progress.ndcg10 > self.best["ndcg10"]:
            self.best = {"hr10": progress.hr10, "ndcg10": progress.ndcg10}
        self._tell("epoch", {"trial": self._trial.number, "epoch": progress.epoch, "epochs": progress.epochs})
        if progress.epoch < progress.epochs and self._trial.should_prune():
            raise optuna.TrialPruned


def best_of(study: Study) -> FrozenTrial | None:
    """The trial with the best validation NDCG@10, the earliest of equal ones; None before any has an epoch.

    What a stopped trial has reached counts: its training would have reached that, too, and then perhaps more.
    """
    judged = [trial for trial in study.get_trials(deepcopy=False) if VALIDATION in trial.user_attrs]
    return max(judged, key=lambda trial: trial.user_attrs[VALIDATION]["ndcg10"], default=None)


def defaults_in(study: Study) -> FrozenTrial | None:
    """The trial of the defaults, its best attempt; None before it has an epoch."""
    judged = [trial for trial in study.get_trials(deepcopy=False) if {VALIDATION, DEFAULTS} <= set(trial.user_attrs)]
    return max(judged, key=lambda trial: trial.user_attrs[VALIDATION]["ndcg10"], default=None)


def counts(study: Study) -> dict[str, int]:
    """How many trials ended how; one that a killed process has left counts as stopped."""
    ended = [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]
    return dict(Counter(trial.user_attrs.get(OUTCOME, STOPPED) for trial in ended))
