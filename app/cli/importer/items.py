"""Sends items with their media, several at once; what the service already has is not sent again."""

import asyncio
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from app.cli.importer.folder import FolderItem
from app.cli.importer.report import Advance, ImportReport
from crossan.client import ApiError, AsyncClient

_FATAL = frozenset({401, 403})
_MIME = {"text": "text/plain", "image": "image/*", "audio": "audio/*", "video": "video/*"}


class ItemImport:
    """One pass over the items of a folder.

    Args:
        client: Connection to the service; its retries apply to every request.
        report: Takes counts and failures.
        advance: Told of every item that is done.
    """

    def __init__(self, client: AsyncClient, report: ImportReport, advance: Advance) -> None:
        self._client = client
        self._report = report
        self._advance = advance
        self._known: dict[str, Mapping[str, Any]] = {}

    async def run(self, items: Iterable[FolderItem], *, concurrency: int) -> None:
        """Send what is new or changed.

        Raises:
            ApiError: The key is not valid for this.
            Unreachable: The service went away; a second run goes on from there.
        """
        self._known = {item["item_id"]: item async for item in self._client.items(limit=200)}
        waiting = iter(items)
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(self._work(waiting))

    async def _work(self, waiting: Iterable[FolderItem]) -> None:
        for item in waiting:
            await self._send(item)
            self._advance("items", 1)

    async def _send(self, item: FolderItem) -> None:
        known = self._known.get(item.item_id)
        media = await asyncio.to_thread(self._changed_media, item, known)
        if known and not media and _same(item.fields, known):
            self._report.items_unchanged += 1
            return
        while True:
            try:
                await self._upload(item, media)
            except ApiError as error:
                refused = _refused_media(error, media)
                if error.status in _FATAL:
                    raise
                if not refused:
                    self._report.fail(item.item_id, str(error))
                    return
                for modality in refused:
                    del media[modality]
                    self._report.fail(f"{item.item_id} {modality} {item.files.get(modality, '')}".rstrip(), str(error))
            else:
                self._report.items_sent += 1
                self._report.media_sent += len(media)
                return

    def _changed_media(self, item: FolderItem, known: Mapping[str, Any] | None) -> dict[str, bytes]:
        """The bytes of each medium that the service lacks; a file that can't be read is a failure of its own."""
        found = {"text": item.text.encode()} if item.text else {}
        for modality, path in item.files.items():
            try:
                found[modality] = path.read_bytes()
            except OSError as error:
                self._report.fail(f"{item.item_id} {modality} {path}", error.strerror or str(error))
        there = {modality: medium["sha256"] for modality, medium in (known or {}).get("media", {}).items()}
        return {name: data for name, data in found.items() if hashlib.sha256(data).hexdigest() != there.get(name)}

    async def _upload(self, item: FolderItem, media: Mapping[str, bytes]) -> None:
        if not media:
            await self._client.put_item(item.item_id, item.fields)
            return
        files = {name: (name, data, _MIME.get(name, "application/octet-stream")) for name, data in media.items()}
        await self._client.post_item({"item_id": item.item_id, **item.fields}, files)


def _same(fields: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    return all(known.get(name) == value for name, value in fields.items() if name != "published_at")


def _refused_media(error: ApiError, media: Mapping[str, bytes]) -> list[str]:
    """The modalities that the problem names as wrong; the first part of a dotted field is its name."""
    if error.status not in (413, 415, 422):
        return []
    named = {str(wrong.get("field", "")).partition(".")[0] for wrong in error.errors}
    return [modality for modality in media if modality in named]
