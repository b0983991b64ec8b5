"""What a person is told when the database does not answer."""

from sqlalchemy.exc import ArgumentError, OperationalError

from app.core.errors import DependencyUnavailable


def as_unavailable(error: BaseException) -> DependencyUnavailable | None:
    """The error to show instead of one that comes, perhaps through others, from a database that can't be used.

    Args:
        error: as it was raised, with its causes.

    Returns:
        None for an error of another origin.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OperationalError | ArgumentError):
        cause = cause.__cause__
    if cause is None:
        return None
    reason = " ".join(str(getattr(cause, "orig", cause)).split())
    return DependencyUnavailable(
        f"The database does not answer ({reason}). Start the service with `crossan up`, or check CROSSAN_DATABASE_URL."
    )
