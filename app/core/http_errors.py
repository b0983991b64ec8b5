"""Errors of the conventions of HTTP: conditions, repeated requests, rates, readiness."""

from http import HTTPStatus

from app.core.errors import CrossanError, DependencyUnavailable, InvalidRequest


class PreconditionFailed(CrossanError):
    """The thing is not as `If-Match` or `If-None-Match` demands. Read it again, and decide with its new `ETag`."""

    status = HTTPStatus.PRECONDITION_FAILED
    slug = "precondition-failed"


class RateLimited(CrossanError):
    """The key has used up its rate. Wait for `Retry-After` seconds, and spread requests or ask for a higher rate."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    slug = "rate-limited"

    def __init__(self, *, retry_after_s: int, rate_per_s: float, burst: int) -> None:
        super().__init__(
            f"This key may send {rate_per_s:g} requests a second, {burst} at once; try again in {retry_after_s} s.",
            retry_after_s=retry_after_s,
        )
        self.headers = {
            "Retry-After": str(retry_after_s),
            "RateLimit-Policy": f'"key";q={burst};w={max(1, round(burst / rate_per_s))}',
            "RateLimit": f'"key";r=0;t={retry_after_s}',
        }


class IdempotencyMismatch(InvalidRequest):
    """The `Idempotency-Key` was used for another request (method, path or body). Use a new key for a new request."""

    slug = "idempotency-mismatch"


class IdempotencyConflict(CrossanError):
    """The first request with this `Idempotency-Key` still runs. Send it again after `Retry-After` seconds."""

    status = HTTPStatus.CONFLICT
    slug = "idempotency-conflict"

    def __init__(self, *, retry_after_s: int) -> None:
        super().__init__("The first request with this Idempotency-Key is still running.", retry_after_s=retry_after_s)
        self.headers = {"Retry-After": str(retry_after_s)}


class IdempotencyAnswerGone(CrossanError):
    """The first request with this `Idempotency-Key` took effect, and its answer is not kept.

    It held a secret, was very large, or the process died before it was written down. Nothing was done again; read what
    the request has made.
    """

    status = HTTPStatus.CONFLICT
    slug = "idempotency-answer-gone"

    def __init__(self) -> None:
        super().__init__("The first request with this Idempotency-Key took effect; its answer is not kept.")


class NotReady(DependencyUnavailable):
    """The process has not loaded everything yet, or is about to end. Send requests to another one, or try again."""

    slug = "not-ready"
