"""The base of every repository: one session, one project."""

from sqlalchemy.orm import Session

from app.core.types import ProjectId
from app.db.session import Transaction


class Repository:
    """Queries of one domain; everything it reads or writes belongs to `project`."""

    def __init__(self, transaction: Transaction, project: ProjectId) -> None:
        self.transaction = transaction
        self.project = project

    @property
    def session(self) -> Session:
        """The transaction's session."""
        return self.transaction.session
