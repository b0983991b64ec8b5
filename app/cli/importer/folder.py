"""The folder format: `items.csv` with one row an item and paths of its media, `events.csv` with what users did."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crossan.client import ClientError

MEDIA_COLUMNS = ("text", "image", "audio", "video")
_KNOWN = {
    "item_id",
    "title",
    "description",
    "plot",
    "categories",
    "genres",
    "available",
    "published_at",
    *MEDIA_COLUMNS,
}
_NOT_PROSE = re.compile(r"[\W\d_]*|true|false|yes|no", re.IGNORECASE)
"""Numbers, dates and truth values: kept as attributes, left out of the text."""


@dataclass(frozen=True)
class FolderItem:
    """One row of items.csv.

    Attributes:
        item_id: The client's own id.
        fields: As `POST /items` takes them.
        text: The text medium composed of the row; None without title and description, or with a file of its own.
        files: Media files by modality; they may be missing on disk.
    """

    item_id: str
    fields: Mapping[str, Any]
    text: str | None = None
    files: Mapping[str, Path] = field(default_factory=dict)


def read_items(folder: Path) -> list[FolderItem]:
    """Every row of items.csv.

    Raises:
        ClientError: The file is missing, or has no column item_id.
    """
    path = folder / "items.csv"
    rows = list(read_rows(path, ("item_id",)))
    prose = _prose_columns(rows)
    return [_item(folder, row, prose) for row in rows if row["item_id"]]


def read_rows(path: Path, needed: Sequence[str]) -> Iterator[dict[str, str]]:
    """The rows of a CSV file with stripped values; refuses a file without the needed columns."""
    if not path.is_file():
        raise ClientError(f"There is no {path}.")
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, restval="")
        missing = [name for name in needed if name not in (reader.fieldnames or ())]
        if missing:
            raise ClientError(f"{path} lacks the column {', '.join(missing)}.")
        for row in reader:
            yield {name: value.strip() for name, value in row.items() if name and isinstance(value, str)}


def _prose_columns(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Columns without a meaning of their own whose values are words: director yes, year no, imdb_id no."""
    others = [name for name in (rows[0] if rows else ()) if name not in _KNOWN and not name.endswith("id")]
    return [name for name in others if any(not _NOT_PROSE.fullmatch(row.get(name, "")) for row in rows)]


def _item(folder: Path, row: Mapping[str, str], prose: Sequence[str]) -> FolderItem:
    description = row.get("description") or row.get("plot")
    categories = [name for name in (row.get("categories") or row.get("genres") or "").split("|") if name]
    fields: dict[str, Any] = {
        "title": row.get("title", ""),
        "description": description or "",
        "categories": categories,
        "attributes": {name: value for name, value in row.items() if value and name not in _KNOWN},
    }
    if row.get("available"):
        fields["available"] = row["available"].lower() in ("true", "1", "yes")
    if row.get("published_at"):
        fields["published_at"] = row["published_at"]
    files = {modality: folder / row[modality] for modality in MEDIA_COLUMNS if row.get(modality)}
    text = (
        None
        if "text" in files
        else _compose(row.get("title"), description, categories, [(n, row.get(n)) for n in prose])
    )
    return FolderItem(row["item_id"], fields, text, files)


def _compose(
    title: str | None, description: str | None, categories: Sequence[str], others: Sequence[tuple[str, str | None]]
) -> str | None:
    """'Title. Category, category. Description. Director: name. …', or None when there is nothing to read."""
    if not title and not description:
        return None
    parts = [title, ", ".join(categories), description]
    parts += [f"{name.replace('_', ' ').capitalize()}: {value}" for name, value in others if value]
    return " ".join(part if part.endswith((".", "!", "?")) else f"{part}." for part in parts if part)


def read_events(path: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Each row as (line of the file, event), or (line, what is wrong with it).

    A column `type` names what the user did; without one it is "rating" where there is a value and "view" otherwise.
    """
    for number, row in enumerate(read_rows(path, ("user_id", "item_id", "timestamp")), start=2):
        try:
            yield number, _event(row)
        except ValueError as error:
            yield number, str(error)


def _event(row: Mapping[str, str]) -> dict[str, Any]:
    value = row.get("rating") or row.get("value") or ""
    event: dict[str, Any] = {"user_id": row["user_id"], "item_id": row["item_id"]}
    event["type"] = row.get("type") or ("rating" if value else "view")
    if not row["user_id"] or not row["item_id"]:
        raise ValueError("user_id or item_id is empty")
    if value:
        event["value"] = float(value)
    if row.get("event_id"):
        event["event_id"] = row["event_id"]
    stamp = row["timestamp"]
    event["timestamp"] = float(stamp) if re.fullmatch(r"-?\d+(\.\d*)?", stamp) else stamp
    return event
