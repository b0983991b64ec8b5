"""Who a request acts for: API keys, looked up once and remembered for seconds."""

import time
from collections.abc import Awaitable, Callable
from typing import Annotated

import anyio.to_thread
from fastapi import Depends, Request
from fastapi.security import APIKeyHeader, HTTPBearer
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.api.idempotency import CURRENT
from app.api.query import check_query
from app.core.errors import NotAuthenticated, ScopeMissing
from app.core.types import Scope
from app.db.session import Database
from app.projects.service import Principal, ProjectService, hash_key

MAX_REMEMBERED = 10_000
OUTAGE_S = 300.0
"""How long a key is taken on its last word while the database does not answer."""


class Authenticator:
    """Knows keys for `cache_s` seconds: so long a revoked key may still work in this process.

    Args:
        database: holds the hashes.
        cache_s: seconds.
    """

    def __init__(self, database: Database, *, cache_s: float) -> None:
        self._database = database
        self._cache_s = cache_s
        self._known: dict[bytes, tuple[float, Principal | None]] = {}

    async def authenticate(self, key: str) -> Principal:
        """The key's principal; raises NotAuthenticated."""
        hashed, now = hash_key(key), time.monotonic()
        known = self._known.get(hashed)
        if known is None or known[0] < now:
            try:
                principal = await anyio.to_thread.run_sync(self._look_up, key)
            except (OperationalError, PoolTimeout):
                # Whoever was known a moment ago goes on being served while the database is away.
                if known is None or known[1] is None or known[0] < now - OUTAGE_S:
                    raise
                return known[1]
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            known = self._known[hashed] = (now + self._cache_s, principal)
        if known[1] is None:
            raise NotAuthenticated
        return known[1]

    def remembered(self, key: str) -> Principal | None:
        """The key's principal if it is known at present."""
        known = self._known.get(hash_key(key))
        return known[1] if known is not None and known[0] >= time.monotonic() else None

    def _look_up(self, key: str) -> Principal | None:
        with self._database.transaction() as transaction:
            return ProjectService(transaction).authenticate(key)


_bearer = HTTPBearer(auto_error=False, description="An API key.")
_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="An API key.")


def _key_of(request: Request) -> str:
    authorization = request.headers.get("authorization", "")
    scheme, _, token = authorization.partition(" ")
    key = token.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "")
    if not key:
        raise NotAuthenticated
    return key


def requires(scope: Scope) -> Callable[[Request], Awaitable[Principal]]:
    """A dependency that lets in keys with this scope, within their rate, and claims the request's Idempotency-Key."""

    async def principal(request: Request) -> Principal:
        authenticator: Authenticator = request.app.state.authenticator
        found = await authenticator.authenticate(_key_of(request))
        if scope not in found.scopes:
            raise ScopeMissing(scope)
        await request.app.state.limiter.admit(found)
        check_query(request)
        call = CURRENT.get()
        if call is not None:
            context = request.app.state.edge.context
            await call.claim(context.database, found.project, keep_s=context.settings.idempotency_s)
        return found

    principal.scope = scope  # type: ignore[attr-defined]
    return principal


documented = [Depends(_bearer), Depends(_header)]
"""Shows both ways to send a key in the OpenAPI document."""

Reader = Annotated[Principal, Depends(requires(Scope.RECOMMEND))]
Ingester = Annotated[Principal, Depends(requires(Scope.INGEST))]
Admin = Annotated[Principal, Depends(requires(Scope.ADMIN))]
