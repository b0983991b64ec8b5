"""Runs an API process whose history, encoder and search cost nothing: `python -m bench.serve.free FILE_DESCRIPTOR`.

With `anew` behind it no page is given again: each is filtered, put in order and described as if it were the first one.

A user's past is read once; from then on it comes from a dictionary, and with it the user's vector and candidates, which
a past that is remembered holds. All else is the product: server, middleware, routes, ranking, answer and recording.
"""

import sys
from contextlib import ExitStack
from typing import Any
from unittest import mock

import app.main
from app.cli import serve
from app.core.types import ProjectId
from app.recommendations.history import FoundPast, HistoryReader
from app.recommendations.kept_pages import KeptPage

ANEW = "anew"


class ConstantHistory(HistoryReader):
    """Reads each user once: their events never change."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._found: dict[tuple[ProjectId, str], FoundPast] = {}

    async def read(
        self, project: ProjectId, user_id: str, *, older: bool = True, shown_since: float | None = None
    ) -> FoundPast:
        """What was found the first time."""
        found = self._found.get((project, user_id))
        if found is None:
            found = await super().read(project, user_id, older=older, shown_since=shown_since)
            self._found[project, user_id] = found
        return found


if __name__ == "__main__":
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(app.main, "HistoryReader", ConstantHistory))
        if sys.argv[2:] == [ANEW]:
            stack.enter_context(mock.patch.object(KeptPage, "of", return_value=None))
        serve.main(sys.argv[1])
