"""What is encoded: files of a folder that lies beside the repository, or of the demo catalogue."""

import csv
import itertools
import random
from collections.abc import Iterator
from pathlib import Path

from app.demo.catalogue import generate

FOLDERS = {"image": "images", "audio": "audio", "video": "video"}
TEXT_COLUMNS = ("title", "genres", "categories", "plot", "description")
CATALOGUE = "items.csv"
DEMO_ITEMS = 400


def demo_folder(cache_dir: Path) -> Path:
    """The demo catalogue, drawn once."""
    folder = cache_dir / f"demo-{DEMO_ITEMS}"
    if not (folder / CATALOGUE).is_file():
        generate(folder, items=DEMO_ITEMS, users=2)
    return folder


def contents_of(folder: Path, modality: str, count: int) -> list[bytes]:
    """So many different contents of a modality, or all that there are, in an order that tells nothing of them."""
    found = list(dict.fromkeys(_texts(folder) if modality == "text" else _files(folder / FOLDERS[modality])))
    random.Random(0).shuffle(found)
    return found[:count]


def _texts(folder: Path) -> Iterator[bytes]:
    with (folder / CATALOGUE).open(newline="") as file:
        for row in csv.DictReader(file):
            parts = [row[column] for column in TEXT_COLUMNS if row.get(column)]
            if parts:
                yield "\n".join(parts).encode()


def _files(folder: Path) -> Iterator[bytes]:
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    for path in itertools.islice(paths, DEMO_ITEMS):
        yield path.read_bytes()
