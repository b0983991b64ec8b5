"""A tiny folder of the import format with real media, for comparisons."""

import csv
from pathlib import Path

import numpy as np

from tests.fixtures.media import png

ITEMS, USERS, EVENTS = 12, 20, 6
WORDS = ["space", "ship", "robot", "star", "planet", "love", "story", "heart", "rain", "city", "night", "jazz"]


def make_folder(folder: Path) -> Path:
    """12 items with a title and, but for the last, a picture; 20 users who go from item to the next of their kind."""
    folder.mkdir(parents=True)
    rows = []
    for number in range(ITEMS):
        picture = f"{number}.png" if number < ITEMS - 1 else ""
        if picture:
            (folder / picture).write_bytes(png(number))
        rows.append({"item_id": f"i{number}", "title": f"{WORDS[number]} {WORDS[number - 1]}", "image": picture})
    _write(folder / "items.csv", rows)
    rng = np.random.default_rng(0)
    events = []
    for user in range(USERS):
        for place, item in enumerate(rng.permutation(ITEMS)[:EVENTS]):
            events.append({"user_id": f"u{user}", "item_id": f"i{item}", "timestamp": str(1000 * user + place)})
    _write(folder / "events.csv", events)
    return folder


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
