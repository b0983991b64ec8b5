"""What can go wrong between a program and the service."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx


class ClientError(Exception):
    """Root of every error of this client; its text is fit for a person."""

    def describe(self) -> dict[str, Any]:
        """The same for a program."""
        return {"title": str(self)}


class Unreachable(ClientError):
    """Nothing answers at the address."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"No answer from {url} ({reason}). Start the service with `crossan up`, "
            "or name another address with --url or CROSSAN_URL."
        )


class ApiError(ClientError):
    """The service refused; carries its RFC 9457 problem."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.problem = dict(problem)
        lines = [f"{status} {problem.get('title', 'Error')}: {problem.get('detail', '')}".rstrip(": ")]
        named = [f"{error.get('field')}: {error.get('message')}" for error in self.errors]
        lines += [f"  {line}" for line in named if line not in lines[0]]
        super().__init__("\n".join(lines))

    @classmethod
    def of(cls, response: httpx.Response) -> "ApiError":
        """From an answer of 400 or more, whatever its body is."""
        try:
            body = response.json()
        except ValueError:
            body = None
        problem = body if isinstance(body, dict) else {"title": response.reason_phrase, "detail": response.text[:500]}
        return cls(response.status_code, problem)

    @property
    def errors(self) -> list[Mapping[str, Any]]:
        """The wrong fields, if the problem names any."""
        return list(self.problem.get("errors") or [])

    def describe(self) -> dict[str, Any]:
        """The problem document with its status."""
        return {**self.problem, "status": self.status}


class EventsUnsent(ClientError):
    """Events could not be sent before the writer had to end; they lie in `path`, and the next writer sends them."""

    def __init__(self, count: int, path: Path, reason: str) -> None:
        self.count = count
        self.path = path
        super().__init__(f"{count} events could not be sent ({reason}); they are kept in {path}.")
