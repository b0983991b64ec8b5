"""The tree of errors a caller may see, each with its HTTP status and its stable RFC 9457 type."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar


class CrossanError(Exception):
    """Root of every expected error; `detail` is for a person, `extra` for a program."""

    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR
    slug: ClassVar[str] = "internal-error"

    def __init__(self, detail: str, *, errors: Sequence[Mapping[str, Any]] = (), **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = list(errors)
        self.extra = extra

    @property
    def title(self) -> str:
        """The slug as words: the same for every occurrence of this kind."""
        return self.slug.replace("-", " ").capitalize()


class InvalidRequest(CrossanError):
    """A field of the request is wrong; `errors` name each field."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    slug = "invalid-request"

    @classmethod
    def of(cls, field: str, message: str, **extra: Any) -> "InvalidRequest":
        """One wrong field."""
        return cls(f"{field}: {message}", errors=[{"field": field, "message": message, **extra}])


class InvalidMedia(InvalidRequest):
    """The uploaded bytes are not an acceptable medium of the named modality."""

    slug = "invalid-media"


class PayloadTooLarge(CrossanError):
    """The request body is larger than the limit."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    slug = "payload-too-large"

    def __init__(self, *, limit_bytes: int, field: str = "body") -> None:
        message = f"larger than the limit of {limit_bytes:,} bytes"
        super().__init__(f"{field}: {message}", errors=[{"field": field, "message": message, "limit": limit_bytes}])


class NotAuthenticated(CrossanError):
    """No key, or one that is unknown or revoked."""

    status = HTTPStatus.UNAUTHORIZED
    slug = "not-authenticated"

    def __init__(self, detail: str = "Send a valid API key as 'Authorization: Bearer <key>' or 'X-API-Key'.") -> None:
        super().__init__(detail)


class ScopeMissing(CrossanError):
    """The key is valid and may not do this."""

    status = HTTPStatus.FORBIDDEN
    slug = "scope-missing"

    def __init__(self, scope: str) -> None:
        super().__init__(f"This key lacks the scope '{scope}'.", scope=scope)


class NotFound(CrossanError):
    """A named thing does not exist in this project."""

    status = HTTPStatus.NOT_FOUND
    slug = "not-found"


class ItemNotFound(NotFound):
    """No such item."""

    slug = "item-not-found"

    def __init__(self, item_id: str) -> None:
        super().__init__(f"There is no item '{item_id}' in this project.", item_id=item_id)


class MediaNotFound(NotFound):
    """The item has no medium of this modality."""

    slug = "media-not-found"

    def __init__(self, item_id: str, modality: str) -> None:
        super().__init__(f"The item '{item_id}' has no {modality}.", item_id=item_id, modality=modality)


class TrainingNotFound(NotFound):
    """No such training."""

    slug = "training-not-found"

    def __init__(self, training_id: object) -> None:
        super().__init__(f"There is no training '{training_id}' in this project.")


class ModelNotFound(NotFound):
    """No such model version."""

    slug = "model-not-found"

    def __init__(self, version: str) -> None:
        super().__init__(f"There is no model version '{version}' in this project.")


class KeyNotFound(NotFound):
    """No such API key."""

    slug = "key-not-found"

    def __init__(self, key_id: int) -> None:
        super().__init__(f"There is no API key {key_id} in this project.")


class ModalityUnknown(NotFound):
    """No encoder is configured for the modality."""

    slug = "modality-unknown"

    def __init__(self, modality: str, known: Sequence[str]) -> None:
        super().__init__(f"No encoder is configured for '{modality}'; configured are: {', '.join(known)}.")


class DependencyUnavailable(CrossanError):
    """The database or the cache does not answer."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    slug = "dependency-unavailable"


class NotConfigured(CrossanError):
    """The process lacks a setting it cannot run without."""

    slug = "not-configured"


class TrainingFailed(CrossanError):
    """A training ended without a version: too little data, a loss that is not finite, or an export that differs."""

    slug = "training-failed"
