"""A small asynchronous client of the REST API: authentication, problems as exceptions, retries with back-off."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from types import TracebackType
from typing import Any, Self

import httpx

_RETRIED = frozenset({429, 500, 502, 503, 504})
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 10.0


class ClientError(Exception):
    """What a command shows a person instead of a traceback."""

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

    @property
    def errors(self) -> list[Mapping[str, Any]]:
        """The wrong fields, if the problem names any."""
        return list(self.problem.get("errors") or [])

    def describe(self) -> dict[str, Any]:
        """The problem document with its status."""
        return {**self.problem, "status": self.status}


def _problem(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        body = None
    return body if isinstance(body, dict) else {"title": response.reason_phrase, "detail": response.text[:500]}


class Client:
    """One connection pool to one service, for use in `async with`.

    Args:
        url: Address of the service.
        key: API key.
        attempts: How often a request is tried when the service is away or overloaded (429, 5xx).
        transport: Stands in for the network in tests.
        sleep: Waits between attempts.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        attempts: int = 1,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        self.url = url.rstrip("/")
        self.key = key
        self._attempts = attempts
        self._sleep = sleep
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.AsyncClient(base_url=self.url, headers=headers, timeout=60.0, transport=transport)

    async def __aenter__(self) -> Self:
        """Nothing is opened before the first request."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the pool."""
        await self._http.aclose()

    async def request(self, method: str, path: str, *, retry: bool = True, **options: Any) -> Any:
        """Send and return the decoded JSON (None for an empty body).

        Args:
            method: HTTP method.
            path: Path of the API.
            retry: Off for a POST that must not happen twice.
            **options: As httpx takes them (params, json, files, data).

        Raises:
            ApiError: A status of 400 or more.
            Unreachable: No connection, after every attempt.
        """
        attempts = self._attempts if retry else 1
        for attempt in range(1, attempts + 1):
            try:
                response = await self._http.request(method, path, **options)
            except httpx.TransportError as error:
                if attempt == attempts:
                    raise Unreachable(self.url, str(error) or type(error).__name__) from error
                await self._sleep(_pause_s(attempt, None))
                continue
            if response.status_code not in _RETRIED or attempt == attempts:
                break
            await self._sleep(_pause_s(attempt, response.headers.get("Retry-After")))
        if response.is_error:
            raise ApiError(response.status_code, _problem(response))
        return response.json() if response.content else None

    async def get(self, path: str, **params: Any) -> Any:
        """GET with query parameters; None ones are left out."""
        return await self.request(
            "GET", path, params={name: value for name, value in params.items() if value is not None}
        )

    async def pages(self, path: str, field: str, *, limit: int = 200) -> AsyncIterator[Any]:
        """Every element of a list that is served in pages."""
        cursor: str | None = None
        while True:
            page = await self.get(path, limit=limit, cursor=cursor)
            for element in page[field]:
                yield element
            cursor = page.get("next_cursor")
            if not cursor:
                return


def _pause_s(attempt: int, asked: str | None) -> float:
    """Exponential with jitter, or what Retry-After asks for in seconds."""
    if asked is not None and asked.isdecimal():
        return min(float(asked), 60.0)
    return min(_FIRST_PAUSE_S * 2.0 ** (attempt - 1), _LONGEST_PAUSE_S) * random.uniform(0.5, 1.0)
