"""The asynchronous client."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, cast

import httpx

from crossan.client import calls, types
from crossan.client.calls import Call
from crossan.client.errors import ApiError, Unreachable
from crossan.client.retries import RetryPolicy

Answer = TypeVar("Answer")
TIMEOUT_S = 60.0
ENDED = frozenset({"succeeded", "failed", "cancelled"})


class AsyncClient:
    """One connection pool to one service, for one event loop.

    Every method raises ApiError when the service refuses, and Unreachable when it does not answer after every attempt.

    Args:
        url: address of the service.
        key: API key.
        retries: when a request is tried again; one that must not happen twice carries a key that lets it be.
        timeout_s: of one attempt, in seconds.
        transport: stands in for the network in tests.
        sleep: waits between attempts.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        retries: RetryPolicy | None = None,
        timeout_s: float = TIMEOUT_S,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.url = url.rstrip("/")
        self.key = key
        self.identity = f"{self.url} {key}"
        self._retries = retries or RetryPolicy()
        self._sleep = sleep
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.AsyncClient(base_url=self.url, headers=headers, timeout=timeout_s, transport=transport)

    async def __aenter__(self) -> Self:
        """Nothing is opened before the first request."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the pool."""
        await self.close()

    async def close(self) -> None:
        """Close the pool."""
        await self._http.aclose()

    async def send(self, call: Call[Answer]) -> Answer:
        """Send one request and return the decoded JSON (None for an empty body)."""
        attempt = 1
        while True:
            last = attempt >= self._retries.attempts or not call.repeatable
            try:
                response = await self._http.request(call.method, call.path, **call.options())
            except httpx.TransportError as error:
                if last:
                    raise Unreachable(self.url, str(error) or type(error).__name__) from error
                response = None
            if response is not None and (last or not self._retries.worth_repeating(response, attempt)):
                break
            await self._sleep(self._retries.pause_s(attempt, response))
            attempt += 1
        if response.is_error:
            raise ApiError.of(response)
        return cast(Answer, response.json() if response.content else None)

    async def recommend(self, user_id: str, **options: Unpack[types.RecommendOptions]) -> types.Recommendation:
        """What a user would want next; the options are the query parameters of `/recommend/{user_id}`."""
        return await self.send(calls.recommend(user_id, options))

    async def recommend_session(
        self, session: Sequence[str | Mapping[str, Any]], **options: Unpack[types.RecommendOptions]
    ) -> types.Recommendation:
        """The same from item ids or events alone, oldest first."""
        return await self.send(calls.recommend_one({"session": list(session), **options}))

    async def recommend_many(self, requests: Sequence[types.RecommendationRequest]) -> list[types.RecommendationResult]:
        """Up to 256 answers at once, in order."""
        return (await self.send(calls.recommend_many(requests)))["results"]

    async def next_page(self, recommendation_id: str, *, limit: int | None = None) -> types.Recommendation:
        """More of a list that was shown."""
        return await self.send(calls.next_page(recommendation_id, limit))

    async def similar(self, item_id: str, **options: Unpack[types.SimilarOptions]) -> types.SimilarItems:
        """What resembles an item, by all of it or by one modality (`by="image"`)."""
        return await self.send(calls.similar(item_id, options))

    async def similar_to_text(self, text: str, **options: Unpack[types.UploadOptions]) -> types.SimilarItems:
        """What resembles a text, for a user if `user_id` is given."""
        return await self.send(calls.similar_to_text(text, options))

    async def similar_to_file(
        self, file: Path | bytes, modality: str, **options: Unpack[types.UploadOptions]
    ) -> types.SimilarItems:
        """What looks or sounds like a file."""
        return await self.send(calls.similar_to_file(file, modality, options))

    async def popular(self, **options: Unpack[types.ListOptions]) -> types.ListedItems:
        """What has most events in a window."""
        return await self.send(calls.listed("popular", options))

    async def trending(self, **options: Unpack[types.ListOptions]) -> types.ListedItems:
        """What is coming up."""
        return await self.send(calls.listed("trending", options))

    async def latest(self, **options: Unpack[types.ListOptions]) -> types.ListedItems:
        """What is new."""
        return await self.send(calls.listed("latest", options))

    async def put_item(self, item_id: str, fields: types.AnyItem) -> types.Item:
        """Create an item, or replace what is said of it; its media stay."""
        return await self.send(calls.put_item(item_id, fields))

    async def post_item(self, fields: Mapping[str, Any], files: Mapping[str, Any]) -> types.Item:
        """Create or replace an item (`fields` with its `item_id`) with its media, files as httpx takes them."""
        return await self.send(calls.post_item(fields, files))

    async def put_items(self, items: Iterable[Mapping[str, Any]]) -> types.ItemBatchReport:
        """Many items in one request, each with its `item_id`."""
        return await self.send(calls.put_items(items))

    async def patch_item(self, item_id: str, fields: types.AnyItem) -> types.Item:
        """Change some fields."""
        return await self.send(calls.patch_item(item_id, fields))

    async def get_item(self, item_id: str) -> types.Item:
        """One item with its media and its state."""
        return await self.send(calls.get_item(item_id))

    def items(self, **options: Any) -> AsyncIterator[types.Item]:
        """Every item, in the order of arrival."""
        return self.pages("/v1/items", "items", **options)

    async def delete_item(self, item_id: str) -> None:
        """Remove an item from every answer."""
        await self.send(calls.delete_item(item_id))

    async def put_media(self, item_id: str, modality: str, file: Path | bytes) -> types.Item:
        """Attach an image, a sound, a video or a text file."""
        return await self.send(calls.put_media(item_id, modality, file))

    async def put_text(self, item_id: str, text: str) -> types.Item:
        """Attach a text."""
        return await self.send(calls.put_text(item_id, text))

    async def send_events(self, events: Sequence[types.AnyEvent]) -> types.EventReport:
        """Store up to 1,000 events; `EventWriter` collects them for you."""
        return await self.send(calls.send_events(events))

    async def put_user(self, user_id: str, attributes: Mapping[str, Any]) -> types.User:
        """Say something of a user."""
        return await self.send(calls.put_user(user_id, attributes))

    async def get_user(self, user_id: str) -> types.User:
        """What is known of a user."""
        return await self.send(calls.get_user(user_id))

    def history(self, user_id: str, **options: Any) -> AsyncIterator[dict[str, Any]]:
        """What a user did, newest first."""
        return self.pages(f"{calls.get_user(user_id).path}/history", "events", **options)

    async def export_user(self, user_id: str) -> dict[str, Any]:
        """Everything that is kept of a person."""
        return await self.send(calls.export_user(user_id))

    async def delete_user(self, user_id: str) -> dict[str, Any]:
        """Erase a person; the answer is the report of it."""
        return await self.send(calls.delete_user(user_id))

    async def merge_user(self, user_id: str, anonymous_id: str) -> dict[str, Any]:
        """Give what an anonymous id did to a user."""
        return await self.send(calls.merge_user(user_id, anonymous_id))

    async def train(self, **order: Any) -> types.Training:
        """Order a training: `method`, `hyperparameters`, `promote`."""
        return await self.send(calls.train(order))

    async def get_training(self, training_id: str) -> types.Training:
        """How far a training is."""
        return await self.send(calls.get_training(training_id))

    async def wait_for_training(self, training_id: str, *, poll_s: float = 1.0) -> types.Training:
        """The training once it is over."""
        while (training := await self.get_training(training_id))["state"] not in ENDED:
            await self._sleep(poll_s)
        return training

    async def models(self) -> list[types.ModelVersion]:
        """Every version, newest first."""
        return (await self.send(calls.list_models()))["models"]

    async def promote(self, version: str) -> types.ModelVersion:
        """Let a version serve."""
        return await self.send(calls.promote(version))

    async def get(self, path: str, **params: Any) -> Any:
        """Any route that answers to GET, by its path; parameters that are None are left out."""
        return await self.send(Call[Any]("GET", path, params=params))

    async def pages(self, path: str, field: str, **options: Any) -> AsyncIterator[Any]:
        """Every element of a list that is served in pages."""
        cursor: str | None = None
        while True:
            page = await self.send(Call[dict[str, Any]]("GET", path, params={**options, "cursor": cursor}))
            for element in page[field]:
                yield element
            cursor = page.get("next_cursor")
            if not cursor:
                return
