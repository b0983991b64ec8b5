"""Every kind of problem the service may answer with, from the classes that raise them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus

from app.api.errors import slug_of
from app.core import errors, http_errors
from app.core.errors import CrossanError

_BY_STATUS_ALONE = {
    HTTPStatus.BAD_REQUEST: "The request could not be read. Check how its body is encoded.",
    HTTPStatus.NOT_FOUND: "There is no such address, or no such thing in this project. Check the path and the id.",
    HTTPStatus.METHOD_NOT_ALLOWED: "The address does not take this method. `Allow` says which it takes.",
}
"""Raised by the framework, not by a class of ours."""
MODULES_OF_ERRORS = (errors, http_errors)
"""Importing them is what makes their classes known."""


@dataclass(frozen=True)
class ProblemKind:
    """A kind as its page shows it."""

    slug: str
    title: str
    status: HTTPStatus
    meaning: str

    @property
    def advice(self) -> str:
        """What to do, by the status."""
        return _ADVICE[self.status.value // 100]


_ADVICE = {
    4: "The request has to be changed or, where the answer has Retry-After, sent again after that time. `errors` name"
    " the fields that are wrong, with their limits.",
    5: "The request was not the cause. Try again with growing pauses; the log of the service has the details under the"
    " X-Request-Id of the answer.",
}


@lru_cache(maxsize=1)
def problem_kinds() -> Mapping[str, ProblemKind]:
    """Every kind by its slug."""
    kinds = {slug_of(status): _of_status(status, text) for status, text in _BY_STATUS_ALONE.items()}
    for error in _tree(CrossanError):
        if error.slug not in kinds or error.status not in _BY_STATUS_ALONE:
            title = error.slug.replace("-", " ").capitalize()
            kinds[error.slug] = ProblemKind(error.slug, title, error.status, _first_words(error))
    return dict(sorted(kinds.items()))


def _of_status(status: HTTPStatus, text: str) -> ProblemKind:
    return ProblemKind(slug_of(status), status.phrase.capitalize(), status, text)


def _tree(root: type[CrossanError]) -> Iterator[type[CrossanError]]:
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)


def _first_words(error: type[CrossanError]) -> str:
    return " ".join((error.__doc__ or "").split())
