import inspect

from app.core import errors
from app.core.errors import CrossanError, InvalidRequest, PayloadTooLarge

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, CrossanError)]


def test_every_kind_has_a_stable_type_of_its_own() -> None:
    slugs = [kind.slug for kind in KINDS]
    assert len(set(slugs)) == len(slugs)


def test_wrong_fields_are_named() -> None:
    error = InvalidRequest.of("limit", "is too large", limit=5)
    assert error.errors == [{"field": "limit", "message": "is too large", "limit": 5}]
    assert error.detail == "limit: is too large"
    assert error.title == "Invalid request"


def test_sizes_are_named_with_their_limit() -> None:
    error = PayloadTooLarge(limit_bytes=1_000, field="image")
    assert error.status == 413
    assert error.errors[0]["limit"] == 1_000
    assert "1,000" in error.detail
