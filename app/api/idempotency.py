"""`Idempotency-Key`: a write that is sent again is answered again, and done once."""

import hashlib
import re
import uuid
from collections.abc import Mapping
from contextvars import ContextVar

import anyio.to_thread
from fastapi import FastAPI, Request, Response
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import Problems
from app.api.paths import path_of
from app.core.errors import CrossanError, InvalidRequest
from app.core.types import ProjectId
from app.db.session import Database, Transaction
from app.projects.idempotency import Claim, IdempotencyRepository, StoredAnswer
from app.telemetry.metrics import IDEMPOTENT_REQUESTS

HEADER = "idempotency-key"
REPLAYED = "Idempotent-Replayed"
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
READS_BY_POST = re.compile(r"/recommend(/.*)?|/similar(/.*)?")
STREAMS = frozenset({"application/x-ndjson", "application/jsonl", "text/csv"})
HELD_BYTES = 4 << 20
"""JSON bodies up to this size are compared by their content, everything else by media type and length."""
KEPT_BYTES = 1 << 20
"""Larger answers are not kept."""
KEPT_HEADERS = ("content-type", "location", "etag", "cache-control")
_ACCEPTABLE = re.compile(r"[!-~]{1,255}")


class Replay(Exception):
    """The request has been answered before."""

    def __init__(self, answer: StoredAnswer) -> None:
        super().__init__("answered before")
        self.answer = answer


class IdempotentCall:
    """One request with a key, from its claim to its answer."""

    def __init__(self, claim: Claim) -> None:
        self._claim = claim
        self._project: ProjectId | None = None
        self._database: Database | None = None
        self._took_effect = False

    async def claim(self, database: Database, project: ProjectId, *, keep_s: float) -> None:
        """Make the request this process's to do; raises Replay, or what `IdempotencyRepository.claim` raises."""

        def run() -> StoredAnswer | None:
            with database.transaction() as transaction:
                return IdempotencyRepository(transaction, project).claim(self._claim, keep_s=keep_s)

        try:
            answer = await anyio.to_thread.run_sync(run)
        except CrossanError as error:
            IDEMPOTENT_REQUESTS.labels(error.slug.removeprefix("idempotency-")).inc()
            raise
        IDEMPOTENT_REQUESTS.labels("first" if answer is None else "replayed").inc()
        if answer is not None:
            raise Replay(answer)
        self._project, self._database = project, database

    def join(self, transaction: Transaction) -> None:
        """If the transaction writes anything, it is the request's effect."""
        if self._project is not None:
            repository = IdempotencyRepository(transaction, self._project)
            transaction.before_commit(lambda: self._mark(repository))

    def _mark(self, repository: IdempotencyRepository) -> None:
        self._took_effect = repository.mark(self._claim) or self._took_effect

    async def settle(self, answer: StoredAnswer | None) -> None:
        """Keep the answer, or free the key of a request that came to nothing; without a claim do nothing."""
        project, database = self._project, self._database
        if project is None or database is None:
            return

        def run() -> None:
            with database.transaction() as transaction:
                repository = IdempotencyRepository(transaction, project)
                if not self._took_effect and (answer is None or answer.status >= 400):
                    repository.release(self._claim)
                elif answer is None or "no-store" in answer.headers.get("cache-control", ""):
                    repository.end_unanswered(self._claim)
                else:
                    repository.answer(self._claim, answer)

        await anyio.to_thread.run_sync(run)


CURRENT: ContextVar[IdempotentCall | None] = ContextVar("idempotent_call", default=None)
"""The call that the present request is, if it came with a key."""


class IdempotencyMiddleware:
    """Gives writes with a key their `IdempotentCall`, and settles it before the answer leaves.

    The claim is made once the key's project is known (`app.api.auth`). Answers with `Cache-Control: no-store`, which
    hold secrets, and large ones are not kept.
    """

    def __init__(self, app: ASGIApp, *, problems: Problems) -> None:
        self._app = app
        self._problems = problems

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything else on untouched."""
        if scope["type"] != "http" or scope["method"] not in WRITES:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        key = headers.get(HEADER)
        if key is None or READS_BY_POST.fullmatch(path_of(scope)):
            await self._app(scope, receive, send)
            return
        try:
            _check(key, headers)
            body = await _held(headers, receive)
        except (CrossanError, HTTPException) as error:
            cause = error if isinstance(error, CrossanError) else error.__cause__
            assert isinstance(cause, CrossanError)
            await self._problems.render(cause)(scope, receive, send)
            return
        claim = Claim(key, _fingerprint(scope, headers, body), path_of(scope), uuid.uuid4())
        await self._run(IdempotentCall(claim), scope, receive if body is None else _again(body, receive), send)

    async def _run(self, call: IdempotentCall, scope: Scope, receive: Receive, send: Send) -> None:
        token = CURRENT.set(call)
        outbox = _Outbox(call, send)
        try:
            await self._app(scope, receive, outbox.send)
        except BaseException:
            await outbox.give_up()
            raise
        finally:
            CURRENT.reset(token)


class _Outbox:
    """Holds an answer back until it has been kept."""

    def __init__(self, call: IdempotentCall, send: Send) -> None:
        self._call = call
        self._send = send
        self._messages: list[Message] = []
        self._size = 0
        self._is_settled = False

    async def send(self, message: Message) -> None:
        """Pass messages on once the answer is complete, or too large to be kept."""
        if self._is_settled:
            await self._send(message)
            return
        self._messages.append(message)
        self._size += len(message.get("body", b""))
        is_complete = message["type"] == "http.response.body" and not message.get("more_body")
        if is_complete or self._size > KEPT_BYTES:
            self._is_settled = True
            await self._call.settle(self._answer() if self._size <= KEPT_BYTES else None)
            for one in self._messages:
                await self._send(one)

    async def give_up(self) -> None:
        """An error has ended the request without an answer."""
        if not self._is_settled:
            self._is_settled = True
            await self._call.settle(None)

    def _answer(self) -> StoredAnswer:
        start = self._messages[0]
        headers = Headers(raw=start["headers"])
        kept = {name: headers[name] for name in KEPT_HEADERS if name in headers}
        return StoredAnswer(start["status"], kept, b"".join(one.get("body", b"") for one in self._messages))


def install(app: FastAPI) -> None:
    """Answer replays."""
    app.add_exception_handler(Replay, _on_replay)


async def _on_replay(_: Request, error: Exception) -> Response:
    assert isinstance(error, Replay)
    answer = error.answer
    return Response(answer.body, answer.status, {**answer.headers, REPLAYED: "true"})


def _check(key: str, headers: Headers) -> None:
    if not _ACCEPTABLE.fullmatch(key):
        raise InvalidRequest.of("Idempotency-Key", "must be 1 to 255 visible ASCII characters", limit=255)
    if _media_type(headers) in STREAMS:
        raise InvalidRequest.of("Idempotency-Key", "does not apply to streams: each of their lines is idempotent")


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


async def _held(headers: Headers, receive: Receive) -> bytes | None:
    """The body, if it is JSON of a stated and moderate length; None leaves it where it is."""
    length = headers.get("content-length", "")
    if _media_type(headers) != "application/json" or not length.isdecimal() or int(length) > HELD_BYTES:
        return None
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """Lets the application read a body that has been read."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return messages.pop() if messages else await receive()

    return receive_again


def _fingerprint(scope: Scope, headers: Headers, body: bytes | None) -> bytes:
    """Of a body that is not held only the media type and the length count: a multipart boundary is new each time."""
    content = body if body is not None else f"{_media_type(headers)} {headers.get('content-length')}".encode()
    parts = [scope["method"].encode(), path_of(scope).encode(), scope["query_string"], content]
    return hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).digest()
