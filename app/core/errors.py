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
        self.headers: Mapping[str, str] = {}

    @property
    def title(self) -> str:
        """The slug as words: the same for every occurrence of this kind."""
        return self.slug.replace("-", " ").capitalize()


_OWN_VALIDATORS = "Value error, "
"""What pydantic writes before the message of a validator of ours."""


def message_of(error: Mapping[str, Any]) -> str:
    """What was wrong with a field, of one of pydantic's errors, in words for whoever sent it."""
    return str(error["msg"]).removeprefix(_OWN_VALIDATORS)


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


class UnsupportedContentType(CrossanError):
    """The body is of a type that this route does not read. Say what it is by `Content-Type`; the detail lists them."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    slug = "unsupported-content-type"

    def __init__(self, known: Sequence[str]) -> None:
        super().__init__(f"Send a body of one of these types, named by Content-Type: {', '.join(known)}.")


class NotAuthenticated(CrossanError):
    """No key, or one that is unknown or revoked."""

    status = HTTPStatus.UNAUTHORIZED
    slug = "not-authenticated"

    def __init__(self, detail: str = "Send a valid API key as 'Authorization: Bearer <key>' or 'X-API-Key'.") -> None:
        super().__init__(detail)
        self.headers = {"WWW-Authenticate": "Bearer"}


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


class UserNotFound(NotFound):
    """Nothing is known of this user: no attributes and no events. A user exists from the first write or event on."""

    slug = "user-not-found"

    def __init__(self, user_id: str) -> None:
        super().__init__(f"Nothing is known of a user '{user_id}' in this project.", user_id=user_id)


class ErasureNotFound(NotFound):
    """There is no report of an erasure with this number in this project."""

    slug = "erasure-not-found"

    def __init__(self, erasure_id: int) -> None:
        super().__init__(f"There is no erasure {erasure_id} in this project.")


class LiveVersionMissing(CrossanError):
    """No trained version serves yet, so there are no item vectors to compare. Train one, or promote one."""

    status = HTTPStatus.CONFLICT
    slug = "live-version-missing"

    def __init__(self) -> None:
        super().__init__("No version is live in this project; train or promote one first.")


class VectorNotFound(NotFound):
    """The live version has no vector of this item: its media wait to be encoded, or it has none."""

    slug = "vector-not-found"

    def __init__(self, item_id: str) -> None:
        super().__init__(f"The live version has no vector of the item '{item_id}'.", item_id=item_id)


class ModalityNotRead(NotFound):
    """The live version was trained without this modality, so nothing can be compared by it."""

    slug = "modality-not-read"

    def __init__(self, modality: str, read: Sequence[str]) -> None:
        names = ", ".join(read) or "none"
        super().__init__(f"The live version does not read '{modality}'; it reads: {names}.", modality=modality)


class AnswerTimedOut(CrossanError):
    """What the answer needs was not there in time.

    The workers are busy, or none runs, or the vectors of a modality are being computed for the first time. Nothing of
    the request is kept; send it again after `Retry-After` seconds.
    """

    status = HTTPStatus.GATEWAY_TIMEOUT
    slug = "answer-timed-out"

    def __init__(self, what: str, *, timeout_s: float) -> None:
        super().__init__(f"{what} within {timeout_s:g} s; try again later.", timeout_s=timeout_s)
        self.headers = {"Retry-After": "5"}


class TrainingNotFound(NotFound):
    """No such training."""

    slug = "training-not-found"

    def __init__(self, training_id: object) -> None:
        super().__init__(f"There is no training '{training_id}' in this project.")


class TransferNotFound(NotFound):
    """There is no such import or export in this project; they are forgotten some days after their end."""

    slug = "transfer-not-found"

    def __init__(self, transfer_id: object) -> None:
        super().__init__(f"There is no import or export '{transfer_id}' in this project.")


class TransferFileNotFound(NotFound):
    """There is no such file.

    An export has files once it has ended; a path of an import leads below the project's own folder of the blob store.
    """

    slug = "transfer-file-not-found"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no file '{name}'.")


class TransferFailed(CrossanError):
    """An import or export ended early: its file is not what it should be."""

    slug = "transfer-failed"


class ModelNotFound(NotFound):
    """No such model version."""

    slug = "model-not-found"

    def __init__(self, version: str) -> None:
        super().__init__(f"There is no model version '{version}' in this project.")


class ModelInUse(CrossanError):
    """The version serves, alone or in a running experiment: promote another one, or stop the experiment, first."""

    status = HTTPStatus.CONFLICT
    slug = "model-in-use"


class ModelArchived(CrossanError):
    """The version is archived and has no item vectors. Restore it, and wait until its state is `ready`."""

    status = HTTPStatus.CONFLICT
    slug = "model-archived"

    def __init__(self, version: str) -> None:
        super().__init__(f"The model version '{version}' is archived: restore it first.", version=version)


class NothingToRollBack(CrossanError):
    """No other version was live before the present one, or none that is still there and not archived."""

    status = HTTPStatus.CONFLICT
    slug = "nothing-to-roll-back"

    def __init__(self) -> None:
        super().__init__("There is no version that was live before and could serve again.")


class ScheduleNotFound(NotFound):
    """No such schedule."""

    slug = "schedule-not-found"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no schedule '{name}' in this project.")


class WebhookNotFound(NotFound):
    """No such webhook."""

    slug = "webhook-not-found"

    def __init__(self, webhook_id: object) -> None:
        super().__init__(f"There is no webhook '{webhook_id}' in this project.")


class JobNotFound(NotFound):
    """No such job, or one that ended so long ago that it is forgotten."""

    slug = "job-not-found"

    def __init__(self, job_id: object) -> None:
        super().__init__(f"There is no job '{job_id}' in this project.")


class TooManyStreams(CrossanError):
    """This process serves as many event streams as it may. Try again after `Retry-After` seconds, or read the job."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    slug = "too-many-streams"

    def __init__(self, *, limit: int, retry_after_s: int) -> None:
        super().__init__(f"There are {limit} event streams open, which is the limit.", limit=limit)
        self.headers = {"Retry-After": str(retry_after_s)}


class ExperimentNotFound(NotFound):
    """No such experiment."""

    slug = "experiment-not-found"

    def __init__(self, experiment_id: object) -> None:
        super().__init__(f"There is no experiment {experiment_id} in this project.")


class ExperimentConflict(CrossanError):
    """Another experiment has this name, or the experiment is not in a state for this.

    Only drafts start, only running ones stop, only those that do not run are deleted; the detail says which.
    """

    status = HTTPStatus.CONFLICT
    slug = "experiment-conflict"


class EstimateNotFound(NotFound):
    """No such estimate."""

    slug = "estimate-not-found"

    def __init__(self, estimate_id: object) -> None:
        super().__init__(f"There is no estimate '{estimate_id}' in this project.")


class ScenarioNotFound(NotFound):
    """No such scenario in this project. `GET /admin/scenarios` lists those that exist."""

    slug = "scenario-not-found"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no scenario '{name}' in this project.", scenario=name)


class RecommendationNotFound(NotFound):
    """No such answer in this project, or one that is no longer kept: ask for a new list."""

    slug = "recommendation-not-found"

    def __init__(self, recommendation_id: object) -> None:
        super().__init__(f"There is no recommendation '{recommendation_id}' in this project.")


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


class CatalogueForgotten(CrossanError):
    """What the catalogue was at that time is no longer kept, so the answer can't be computed again."""

    status = HTTPStatus.GONE
    slug = "catalogue-forgotten"

    def __init__(self) -> None:
        super().__init__("What the catalogue was at that time is no longer kept.")


class NotReplayable(CrossanError):
    """The answer can't be computed again, because something that it was made from is not kept; the detail says what."""

    status = HTTPStatus.GONE
    slug = "not-replayable"
