"""Takes raw bytes in: checks them against the limits, then keeps them under their hash."""

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from app.core.errors import InvalidMedia, ModalityUnknown, PayloadTooLarge
from app.core.media_limits import MediaLimits
from app.core.types import ProjectId
from app.items.media_probe import MediaInfo, MediaRejected, probe
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
    """

    def __init__(self, blobs: BlobStore, *, limits: MediaLimits, kinds: Mapping[str, str]) -> None:
        self._blobs = blobs
        self._limits = limits
        self._kinds = kinds

    def check_modality(self, modality: str) -> None:
        """Raise ModalityUnknown for one without an encoder."""
        if modality not in self._kinds:
            raise ModalityUnknown(modality, list(self._kinds))

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
