"""The cut of a training on disk: every attempt of a job learns from the very data that the first one has read."""

import dataclasses
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import structlog

from app.training.cut import DataCut
from app.training.repository import CutItem
from model.data.saved import load_dataset, save_dataset
from model.disk import sync_to_disk

log = structlog.get_logger(__name__)

CUT = "cut"
DATASET = "dataset"
FACTS = "facts.json"


def kept_cut(folder: Path, read: Callable[[Path], DataCut]) -> DataCut:
    """The cut in the folder that a job's attempts share; if there is none yet, it is read and left there.

    It is there whole or not at all. Users are in it as numbers only; it goes when the folder does, at the end of the
    job. Items may change or go while a training lasts, however often it begins again: publishing sees to that.

    Args:
        folder: of the job.
        read: reads the cut now, with its large files in the folder that it is given, which goes afterwards.
    """
    place = folder / CUT
    found = _found(place)
    if found is None:
        _leave(place, read)
        found = _load(place)
    return found


def _found(place: Path) -> DataCut | None:
    if not place.exists():
        return None
    try:
        return _load(place)
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("the data of the attempt before are read anew", error=f"{type(error).__name__}: {error}")
        shutil.rmtree(place, ignore_errors=True)
        return None


def _leave(place: Path, read: Callable[[Path], DataCut]) -> None:
    with tempfile.TemporaryDirectory(prefix="reading-", dir=place.parent, ignore_cleanup_errors=True) as name:
        scratch = Path(name)
        cut = read(scratch)
        whole = scratch / CUT
        whole.mkdir()
        save_dataset(cut.dataset, whole / DATASET)
        facts = {
            "items": [dataclasses.astuple(item) for item in cut.items],
            "encoders": dict(cut.encoders),
            "summary": dict(cut.summary),
        }
        (whole / FACTS).write_text(json.dumps(facts), encoding="utf-8")
        for path in [*whole.rglob("*"), whole]:
            sync_to_disk(path)
        try:
            whole.rename(place)
        except OSError:
            # Another attempt, thought dead or thinking so of this one, was quicker: then its cut is the job's.
            if not place.exists():
                raise


def _load(place: Path) -> DataCut:
    facts = json.loads((place / FACTS).read_text(encoding="utf-8"))
    items = [CutItem(*item) for item in facts["items"]]
    return DataCut(load_dataset(place / DATASET), items, facts["encoders"], facts["summary"])
