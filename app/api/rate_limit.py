"""Rates of API keys: a token bucket a key in Redis, from which each process takes tokens ahead, a few at a time.

A request costs no round trip as long as its process has tokens left. What that costs in exactness: tokens that a
process holds and does not use within `LEASE_S` seconds are lost, and for that long up to one lease each can be used
later than the bucket says, so with p processes at most burst + p leases pass at once (a lease is a fifth of a second's
tokens, and at most a quarter of the burst).
"""

import asyncio
import math
import time
from dataclasses import dataclass, field

import structlog
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import RedisError

from app.core.http_errors import RateLimited
from app.projects.service import Principal
from app.telemetry.metrics import RATE_LEASES, RATE_LIMITED

log = structlog.get_logger(__name__)

LEASE_S = 1.0
LEASE_OF_RATE_S = 0.2
AWAY_S = 1.0
"""How long nothing is limited after Redis did not answer, before it is asked again."""
MAX_KEYS = 10_000

_TAKE = """
local rate, burst, want = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local state = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = tonumber(state[1]) or burst
tokens = math.min(burst, tokens + math.max(0, now - (tonumber(state[2]) or now)) * rate)
local granted = math.min(want, math.floor(tokens))
redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens - granted), 'at', string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil(burst / rate * 1000) + 1000)
local wait = 0
if granted == 0 then wait = (1 - tokens) / rate end
return {granted, string.format('%.6f', wait)}
"""


@dataclass(frozen=True)
class Rate:
    """Requests a second, and how many at once."""

    per_s: float
    burst: int

    @classmethod
    def of(cls, per_s: float, burst: int | None) -> "Rate":
        """Without a burst it is two seconds' worth."""
        return cls(per_s, burst if burst is not None else max(1, math.ceil(2 * per_s)))

    @property
    def lease(self) -> int:
        """Tokens to take ahead."""
        return max(1, min(int(self.per_s * LEASE_OF_RATE_S), self.burst // 4))


@dataclass
class _Lease:
    """What a process holds of one key's bucket; times are of the monotonic clock."""

    tokens: float = 0
    ends: float = 0.0
    refused_until: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class RateLimiter:
    """Admits or refuses the requests of this process.

    Args:
        redis: holds the buckets; while it is away everything passes.
        default: the rate of keys without one of their own; None limits only those that have one.
    """

    def __init__(self, redis: AsyncRedis, *, default: Rate | None) -> None:
        self._take = redis.register_script(_TAKE)
        self._default = default
        self._leases: dict[int, _Lease] = {}

    def admits_now(self, principal: Principal) -> bool:
        """Use one token of the key if there is one at hand, or if it needs none."""
        if principal.rate_per_s is None and self._default is None:
            return True
        lease = self._leases.get(principal.key_id)
        return lease is not None and _use(lease)

    def give_back(self, principal: Principal) -> None:
        """Return the token of a request that comes to `admit` after all."""
        lease = self._leases.get(principal.key_id)
        if lease is not None:
            lease.tokens += 1

    async def admit(self, principal: Principal) -> None:
        """Use one token of the key; raises RateLimited when there is none."""
        rate = self._rate(principal)
        if rate is None:
            return
        lease = self._leases.get(principal.key_id)
        if lease is None:
            if len(self._leases) >= MAX_KEYS:
                self._leases.clear()
            lease = self._leases[principal.key_id] = _Lease()
        if not _use(lease):
            async with lease.lock:
                await self._renew_and_use(lease, principal.key_id, rate)

    def _rate(self, principal: Principal) -> Rate | None:
        if principal.rate_per_s is not None:
            return Rate.of(principal.rate_per_s, principal.burst)
        return self._default

    async def _renew_and_use(self, lease: _Lease, key_id: int, rate: Rate) -> None:
        if _use(lease):
            return
        if lease.refused_until <= time.monotonic():
            await self._renew(lease, key_id, rate)
            if _use(lease):
                return
        RATE_LIMITED.inc()
        seconds = max(1, math.ceil(lease.refused_until - time.monotonic()))
        raise RateLimited(retry_after_s=seconds, rate_per_s=rate.per_s, burst=rate.burst)

    async def _renew(self, lease: _Lease, key_id: int, rate: Rate) -> None:
        try:
            granted, wait = await self._take(keys=[f"crossan:rate:{key_id}"], args=[rate.per_s, rate.burst, rate.lease])
        except RedisError as error:
            log.warning("rates are not limited, the cache is away", error=str(error))
            RATE_LEASES.labels("away").inc()
            lease.tokens, lease.ends = math.inf, time.monotonic() + AWAY_S
            return
        now = time.monotonic()
        if granted:
            lease.tokens, lease.ends = granted, now + LEASE_S
        else:
            lease.refused_until = now + float(wait)
        RATE_LEASES.labels("granted" if granted else "refused").inc()


def _use(lease: _Lease) -> bool:
    """Take one of the tokens at hand, if there is one."""
    if lease.tokens < 1 or lease.ends < time.monotonic():
        return False
    lease.tokens -= 1
    return True
