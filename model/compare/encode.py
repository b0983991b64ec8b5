"""Turns a catalogue's media into a saved dataset, in a process of its own: `python -m model.compare.encode FOLDER`."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from model.compare.child import Report, main
from model.compare.encoding import Modality, ModalityEncoder, modality_of, samples_cache, states_cache
from model.compare.files import write_json
from model.data.dataset import Dataset, FeatureTable, Interactions, MediaTable, TrainingDataError
from model.data.saved import ArrayFiles, load_dataset, save_dataset
from model.encoders.decode import DecodeLimits, Sample
from model.encoders.decode_pool import DecodePool
from model.encoders.spec import EncoderSpec

LISTED_FAILURES = 20
CATALOGUE = "catalogue.json"
"""Beside the arrays of a dataset: what its rows are."""


def encode_catalogue(job: dict[str, Any], report: Report) -> dict[str, Any]:
    """Encodes what is not in the cache yet, and saves the dataset under a name that follows from its content.

    Items that lack every modality of one of the subsets that are to be compared are left out, with their events, so
    that each subset describes the same items and all answer the same questions.

    Args:
        job: `items` (each with `id` and the media it has by modality, {"text": …} or {"file": …}), `events` (an .npz
            of offsets, items and times), `encoders`, `subsets`, `keeps_media`, `cache`, `datasets`, `device`,
            `threads`, and of decoding `processes`, `timeout_s`, `memory_bytes`, `max_pixels` and `max_seconds`.
        report: told how many media of which modality are done.

    Returns:
        `dataset` (its folder), its `fingerprint`, `items`, `users`, `events`, `left_out`, `media`, `failures`,
        `encoders` and the `device`.

    Raises:
        TrainingDataError: nothing is left to learn from.
    """
    torch.set_num_threads(job["threads"])
    device = pick_device(job["device"])
    cache = Path(job["cache"])
    modalities = [modality_of(spec, job["items"]) for spec in map(EncoderSpec.from_dict, job["encoders"])]
    with _pool(job) as pool:
        for modality in modalities:
            ModalityEncoder(modality, pool, cache=cache, device=device, keeps_media=job["keeps_media"]).run(report)
    kept = _describable(modalities, job["subsets"])
    dataset = _dataset(modalities, kept, job, cache=cache)
    identity = _identity(dataset, modalities, kept)
    folder = Path(job["datasets"]) / identity[:16]
    catalogue = {
        "dataset": str(folder),
        "fingerprint": identity,
        "items": dataset.item_count,
        "users": len(dataset.interactions),
        "events": len(dataset.interactions.items),
        "left_out": int(len(kept) - kept.sum()),
        "media": {table.modality: len(table.states) for table in dataset.features},
        "encoders": {one.spec.modality: one.fingerprint for one in modalities},
        "failures": {one.spec.modality: len(one.failures) for one in modalities},
        "failed": [f"{one.spec.modality} of {what}" for one in modalities for what in one.failures][:LISTED_FAILURES],
        "device": device,
    }
    if not _is_saved(folder, with_media=job["keeps_media"]):
        folder.parent.mkdir(parents=True, exist_ok=True)
        save_dataset(dataset, folder)
    ids = [item["id"] for item, keep in zip(job["items"], kept, strict=True) if keep]
    write_json(folder / CATALOGUE, {**catalogue, "item_ids": ids})
    return catalogue


def pick_device(wish: str) -> str:
    """`auto` takes a GPU where there is one; anything else is taken at its word."""
    if wish != "auto":
        return wish
    return "cuda" if torch.cuda.is_available() else "cpu"


def _pool(job: dict[str, Any]) -> DecodePool:
    wanted = job["decode"]
    limits = DecodeLimits(max_pixels=wanted["max_pixels"], max_seconds=wanted["max_seconds"])
    return DecodePool(wanted["processes"], limits, wanted["timeout_s"], wanted["memory_bytes"])


def _describable(modalities: Sequence[Modality], subsets: Sequence[Sequence[str]]) -> NDArray[np.bool_]:
    """Returns which items have at least one modality of every subset, bool [n]."""
    present = {one.spec.modality: np.array([content is not None for content in one.contents]) for one in modalities}
    kept = [np.any([present[name] for name in subset], axis=0) for subset in subsets]
    return np.asarray(np.all(kept, axis=0))


def _dataset(modalities: Sequence[Modality], kept: NDArray[np.bool_], job: dict[str, Any], *, cache: Path) -> Dataset:
    """Reads the caches into tables of the kept items, and renumbers the events."""
    features, media = [], []
    for modality in modalities:
        contents = [content for content, keep in zip(modality.contents, kept, strict=True) if keep]
        rows = np.full(len(contents), -1, dtype=np.int32)
        there = [content for content in contents if content is not None]
        if not there:
            raise TrainingDataError(f"no item has {modality.spec.modality} that can be encoded")
        rows[[content is not None for content in contents]] = np.arange(len(there), dtype=np.int32)
        features.append(FeatureTable(modality.spec.modality, states_cache(cache, modality).stack(there), rows))
        if job["keeps_media"]:
            media.append(MediaTable(modality.spec, _samples(modality, there, kept, cache), rows))
    return Dataset(int(kept.sum()), features, _interactions(Path(job["events"]), kept), media)


def _samples(modality: Modality, there: Sequence[str], kept: NDArray[np.bool_], cache: Path) -> Sequence[Sample]:
    """Returns the decoded media of the kept items that have one."""
    if modality.spec.loader == "text":
        rows = [row for row in np.flatnonzero(kept) if modality.contents[row] is not None]
        return [modality.bytes_of(int(row)).decode("utf-8-sig").strip() for row in rows]
    samples = samples_cache(cache, modality.spec)
    return ArrayFiles([samples.path(content) for content in there])


def _interactions(path: Path, kept: NDArray[np.bool_]) -> Interactions:
    """Reads the events of the kept items; a user of whom nothing is left is left out."""
    with np.load(path) as stored:
        events = Interactions(stored["offsets"], stored["items"], stored["times"])
    events = events.keep(kept[events.items])
    numbers = np.cumsum(kept, dtype=np.int32) - 1
    offsets = np.concatenate([[0], np.cumsum(events.lengths[events.lengths > 0])])
    return Interactions(offsets, numbers[events.items], events.times)


def _identity(dataset: Dataset, modalities: Sequence[Modality], kept: NDArray[np.bool_]) -> str:
    """Returns the sha256 of everything that a training can see of the dataset."""
    digest = hashlib.sha256()
    events = dataset.interactions
    for array in (events.offsets, events.items, events.times):
        digest.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
    for one in modalities:
        contents = [content for content, keep in zip(one.contents, kept, strict=True) if keep]
        digest.update(f"{one.spec.modality} {one.fingerprint} {contents}".encode())
    return digest.hexdigest()


def _is_saved(folder: Path, *, with_media: bool) -> bool:
    """Whether a dataset lies there already, with media if they are asked for."""
    try:
        saved = load_dataset(folder)
    except TrainingDataError:
        return False
    return bool(saved.media) or not with_media


if __name__ == "__main__":
    sys.exit(main(encode_catalogue))
