"""`python -m worker.tune ORDER`: a hyperparameter search, told as JSON lines on stdout; the work of `crossan tune`."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

import optuna
from optuna.study import Study

from app.context import Context, build_context
from app.core.config import Settings
from app.core.errors import CrossanError
from app.core.logging import configure_logging
from app.core.types import ProjectId
from app.db.answers import as_unavailable
from app.training.cut import DataCut, read_cut
from app.training.media import MediaSource
from model.config import known_options, needs_media, parse_config
from model.tuning_space import space_of
from worker.device import pick_device
from worker.tune_study import StudyKey, opened
from worker.tune_trials import SETTINGS, VALIDATION, Limits, Search, Tell, best_of, counts, defaults_in

DATA = "data"
"""Mark of a study: what the data was when it began."""


class NothingLearned(CrossanError):
    """The search ended before any trial had completed an epoch."""

    slug = "nothing-learned"


@dataclass(frozen=True)
class Order:
    """What to search.

    Attributes:
        project: its number.
        study: name of the study, unique in the project.
        method: whose hyperparameters.
        fixed: those that are not varied.
        minutes: after which the search ends.
        trials: after how many it ends, if that is sooner.
    """

    project: int
    study: str
    method: str
    fixed: Mapping[str, Any]
    minutes: float
    trials: int | None = None

    @property
    def key(self) -> StudyKey:
        """Which study it belongs to."""
        space = json.loads(json.dumps([asdict(one) for one in space_of(self.method, self.fixed)]))
        search = {"method": self.method, "fixed": dict(self.fixed), "space": space}
        return StudyKey(ProjectId(self.project), self.study, search)


def search(settings: Settings, order: Order, *, asked: threading.Event, tell: Tell) -> dict[str, Any]:
    """Read the data once, try configurations within the budget, and say what is best.

    Args:
        settings: whose database and files.
        order: what to search.
        asked: set when the search shall end early.
        tell: hears of `data`, of every `epoch`, and of the end of every trial (`ended`).

    Raises:
        StudyUnusable: another process searches this study, or it was made for another search, or cannot be kept.
        TrainingFailed: nothing can be trained on this data.
        NothingLearned: no trial has completed an epoch.
    """
    started = time.monotonic()
    context = build_context(settings)
    scratch = context.artifacts.new_folder(ProjectId(order.project))
    try:
        with opened(settings.database, order.key) as held:
            cut = _read(context, order, scratch, asked)
            tell("data", {**cut.summary, **_before(held.study, cut)})
            task = Search(
                held,
                cut.dataset,
                method=order.method,
                fixed=order.fixed,
                limits=Limits(started + 60.0 * order.minutes, order.trials, asked),
                tell=tell,
                device=pick_device(settings.device),
            )
            begun = task.run()
            return {**_result(held.study, order), "begun": begun, "seconds": time.monotonic() - started}
    finally:
        context.artifacts.discard(scratch)
        context.close()


def _read(context: Context, order: Order, scratch: Path, asked: threading.Event) -> DataCut:
    """The data as a training has them: with decoded media where the method runs the encoders."""

    def check() -> None:
        if asked.is_set():
            raise NothingLearned(f"Ended while the data were read; the study '{order.study}' is as it was.")

    config = parse_config(order.method, order.fixed)
    media = None
    if needs_media(config):
        from worker.encoders import DecodingPool

        decode = DecodingPool(context.settings).decode
        media = MediaSource(context.blobs, decode, check, config.tower.wanted_modalities)
    return read_cut(
        context.database,
        context.features,
        ProjectId(order.project),
        modalities=context.settings.modalities if "modalities" in known_options(order.method) else (),
        scratch=scratch,
        media=media,
    )


def _before(study: Study, cut: DataCut) -> dict[str, Any]:
    """What there is already: the data as it was when the study began, how its trials ended, and the best of them."""
    before = study.user_attrs.get(DATA)
    if before is None:
        study.set_user_attr(DATA, dict(cut.summary))
    best = best_of(study)
    known = {"trial": best.number, **best.user_attrs[VALIDATION]} if best else None
    return {"before": before, "trials": counts(study), "best": known}


def _result(study: Study, order: Order) -> dict[str, Any]:
    best, defaults = best_of(study), defaults_in(study)
    if best is None:
        failed = [
            trial.user_attrs["error"] for trial in study.get_trials(deepcopy=False) if "error" in trial.user_attrs
        ]
        why = f"the last one failed because: {failed[-1]}" if failed else f"{order.minutes:g} minutes were too short"
        raise NothingLearned(f"No trial has completed an epoch: {why}. The study '{order.study}' goes on.")
    return {
        "study": order.study,
        "method": order.method,
        "hyperparameters": best.user_attrs[SETTINGS],
        "validation": best.user_attrs[VALIDATION],
        "trial": best.number,
        "defaults": defaults.user_attrs[VALIDATION] if defaults else None,
        "trials": counts(study),
    }


def _lines(stream: TextIO) -> Tell:
    def tell(kind: str, event: Mapping[str, Any]) -> None:
        stream.write(json.dumps({"event": kind, **event}) + "\n")
        stream.flush()

    return tell


def main() -> None:
    """Search as the first argument says; SIGTERM ends the search early, with a result."""
    settings, order = Settings(), Order(**json.loads(sys.argv[1]))
    configure_logging(settings.log_level)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    asked = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked.set())
    tell = _lines(sys.stdout)
    # Nothing else that writes there may come between the lines.
    with contextlib.redirect_stdout(sys.stderr):
        try:
            tell("result", search(settings, order, asked=asked, tell=tell))
        # The outermost frame of the process: what nobody expects still ends as a traceback.
        except Exception as error:
            expected = error if isinstance(error, CrossanError) else as_unavailable(error)
            if expected is None:
                raise
            tell("error", {"title": expected.title, "detail": expected.detail})
            sys.exit(1)


if __name__ == "__main__":
    main()
