"""Takes raw bytes in: checks them against the limits, then keeps them under their hash."""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from typing import BinaryIO

from app.core.errors import InvalidMedia, InvalidRequest, ModalityUnknown, PayloadTooLarge
from app.core.media_limits import MediaLimits
from app.core.types import ProjectId
from app.items.media_probe import MediaInfo, MediaRejected, probe
from app.items.media_urls import UrlPolicy, UrlRefused
from app.stores.blobs import BlobStore, sha256_of


@dataclass(frozen=True)
class StoredMedia:
    """A medium that has been accepted and kept."""

    content_hash: str
    info: MediaInfo


class MediaIntake:
    """Accepts media of the configured modalities.

    Args:
        blobs: where accepted bytes go.
        limits: bounds of bytes, pixels and seconds.
        kinds: the modalities that have an encoder, and what each takes: text, image, audio or video.
        hosts: that media may be fetched from by their address; none: media by address are refused.
    """

    def __init__(
        self, blobs: BlobStore, *, limits: MediaLimits, kinds: Mapping[str, str], hosts: Sequence[str] = ()
    ) -> None:
        self._blobs = blobs
        self._limits = limits
        self._kinds = kinds
        self._urls = UrlPolicy(hosts)

    def check_modality(self, modality: str) -> None:
        """Raise ModalityUnknown for one without an encoder."""
        if modality not in self._kinds:
            raise ModalityUnknown(modality, list(self._kinds))

    def check_url(self, modality: str, url: str) -> None:
        """Raise InvalidRequest for an address that nothing is fetched from."""
        try:
            self._urls.check(url)
        except UrlRefused as error:
            raise InvalidRequest.of(f"{modality}.url", str(error)) from error

    def takes(self, modality: str) -> bool:
        """Whether the modality has an encoder."""
        return modality in self._kinds

    def max_bytes(self, modality: str) -> int:
        """The most bytes of one medium."""
        return self._limits.max_bytes(self._kinds[modality])

    def check(self, modality: str, file: BinaryIO) -> MediaInfo:
        """What the bytes are, from their header; raises InvalidMedia naming the field and the limit."""
        try:
            return probe(self._kinds[modality], file, self._limits)
        except MediaRejected as error:
            numbers = {"limit": error.limit, "actual": error.actual}
            raise InvalidMedia.of(
                modality, error.reason, **{name: value for name, value in numbers.items() if value is not None}
            ) from error

    def accept(self, project: ProjectId, modality: str, file: BinaryIO) -> StoredMedia:
        """Check and keep one medium."""
        return self.keep(project, file, self.check(modality, file))

    def keep(self, project: ProjectId, file: BinaryIO, info: MediaInfo) -> StoredMedia:
        """Keep a medium that has been checked."""
        content_hash = sha256_of(file)
        self._blobs.put(project, content_hash, file)
        return StoredMedia(content_hash, info)

    def keep_all(
        self, project: ProjectId, contents: Mapping[bytes, MediaInfo], *, known: Collection[str], parallel: int
    ) -> dict[bytes, StoredMedia]:
        """Keep many small media that have been checked, some at once; those of a hash in `known` are kept already."""
        kept = {data: StoredMedia(sha256(data).hexdigest(), info) for data, info in contents.items()}
        new = [(stored.content_hash, data) for data, stored in kept.items() if stored.content_hash not in known]

        def put(content: tuple[str, bytes]) -> None:
            self._blobs.put(project, content[0], BytesIO(content[1]))

        if new:
            with ThreadPoolExecutor(min(parallel, len(new)), thread_name_prefix="keep") as pool:
                list(pool.map(put, new))
        return kept

    def accept_text(self, project: ProjectId, text: str) -> StoredMedia:
        """Check and keep a text."""
        return self.accept(project, "text", BytesIO(text.encode()))


def spooled_within(file: BinaryIO, *, field: str, limit_bytes: int) -> BinaryIO:
    """The rewound file; raises PayloadTooLarge past the limit."""
    size = file.seek(0, 2)
    file.seek(0)
    if size > limit_bytes:
        raise PayloadTooLarge(limit_bytes=limit_bytes, field=field)
    return file
