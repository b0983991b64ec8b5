"""Batches of 100 events: posted until they are committed and in their users' sequences, or copied into the table."""

import asyncio
import itertools
import logging
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
import psutil
import psycopg

from app.stores.pipelined_redis import PipelinedRedis
from app.stores.sequence_cache import RedisSequenceReader
from app.stores.sequence_state import SequenceState
from bench.ingest.posting import head_of, post_all
from bench.ingest.world import IngestWorld

log = logging.getLogger(__name__)
BATCH, CONNECTIONS = 100, 32
USERS, ITEMS = 2_000, 1_700
CHECKED_USERS = 50
FIRST_S = 1_760_000_000
COLUMNS = "project_id, event_id, user_id, item_id, type, timestamp"

Event = dict[str, Any]


class WrongSequence(Exception):
    """A sequence lacks events that were answered as accepted, or has others."""


class EventLoad:
    """Makes new events at each call: of random users, whose sequences are in the cache from the start.

    Args:
        world: takes them in.
        events: of a call.
    """

    def __init__(self, world: IngestWorld, *, events: int) -> None:
        self.rates: list[float] = []
        """Events a second of every call of `post_per_s`."""
        self._world = world
        self._events = events
        self._random = random.Random(1)
        self._numbers = itertools.count()
        self._accepted: Counter[str] = Counter()

    def warm_up(self) -> None:
        """Fill the sequences, empty as they are, and post a tenth."""
        asyncio.run(self._fill())
        self._post(self._batches(self._events // 10))

    def post_per_s(self) -> float:
        """Events a second through the API."""
        batches = self._batches(self._events)
        process = psutil.Process(self._world.server.pid)
        before = sum(process.cpu_times()[:2])
        seconds = self._post(batches)
        cpu_us = 1e6 * (sum(process.cpu_times()[:2]) - before) / self._events
        rate = self._events / seconds
        log.info("events: %.0f a second, %.0f us of the server's processor each", rate, cpu_us)
        self.rates.append(rate)
        return rate

    def copy_per_s(self) -> float:
        """Events a second by COPY into the same table, a transaction a batch, on one connection."""
        batches = self._batches(self._events)
        with psycopg.connect(str(self._world.settings.database_url)) as connection:
            started = time.perf_counter()
            for batch in batches:
                with connection.cursor() as cursor, cursor.copy(f"COPY events ({COLUMNS}) FROM STDIN") as copy:
                    for one in batch:
                        at = datetime.fromtimestamp(one["timestamp"], UTC)
                        row = (self._world.project, one["event_id"], f"copied {one['user_id']}", one["item_id"])
                        copy.write_row((*row, one["type"], at))
                connection.commit()
            seconds = time.perf_counter() - started
        log.info("copy: %.0f events a second", self._events / seconds)
        return self._events / seconds

    def check_sequences(self) -> None:
        """Look whether what was accepted is in the cache.

        Raises:
            WrongSequence: it is not, or more than that.
        """
        asyncio.run(self._check())

    def _batches(self, events: int) -> list[list[Event]]:
        made = [self._event(next(self._numbers)) for _ in range(events)]
        return [made[first : first + BATCH] for first in range(0, events, BATCH)]

    def _event(self, number: int) -> Event:
        return {
            "event_id": f"e{number}",
            "user_id": f"user {self._random.randrange(USERS)}",
            "item_id": f"item {self._random.randrange(ITEMS)}",
            "type": "view",
            "timestamp": FIRST_S + number / 10,
        }

    def _post(self, batches: Sequence[list[Event]]) -> float:
        """Seconds until every batch is answered; all have to be new."""
        url = self._world.server.url
        headers = {**self._world.headers, "Content-Type": "application/json"}
        bodies = [orjson.dumps(batch) for batch in batches]
        posted = post_all(url, [head_of(url, "/events", headers, len(body)) + body for body in bodies], CONNECTIONS)
        accepted = sum(orjson.loads(answer)["accepted"] for answer in posted.answers)
        if accepted != sum(map(len, batches)):
            raise WrongSequence(f"{accepted} accepted of {sum(map(len, batches))}")
        self._accepted.update(one["user_id"] for batch in batches for one in batch)
        return posted.seconds

    async def _fill(self) -> None:
        async for reader in self._reader():
            for number in range(USERS):
                token = await reader.lease(self._world.project, f"user {number}")
                await reader.fill(self._world.project, f"user {number}", token=token, state=SequenceState())

    async def _check(self) -> None:
        async for reader in self._reader():
            for number in range(CHECKED_USERS):
                user = f"user {number}"
                state = (await reader.read(self._world.project, user)).state
                found = 0 if state is None else state.count
                if found != min(self._accepted[user], self._world.settings.sequence_cap):
                    raise WrongSequence(f"{user} has {found} events in the cache, {self._accepted[user]} were accepted")

    async def _reader(self) -> AsyncIterator[RedisSequenceReader]:
        redis = PipelinedRedis(self._world.settings.redis, timeout_s=10)
        try:
            yield RedisSequenceReader(redis, ttl_s=self._world.settings.sequence_ttl_s)
        finally:
            await redis.aclose()
