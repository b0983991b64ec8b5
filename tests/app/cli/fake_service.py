"""A small stand-in for the REST API, for tests of its clients: same paths and shapes, nothing behind them."""

import hashlib
import json
from collections import Counter
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

KEY = "crs_test"
URL = "http://crossan.test"


def problem(status: int, title: str, **extra: Any) -> JSONResponse:
    document = {"type": "about:blank", "title": title, "status": status, "detail": f"{title}.", **extra}
    return JSONResponse(document, status, media_type="application/problem+json")


class FakeService:
    """Keeps what it is sent; refuses media that are b"corrupt" and events of the user "nobody"."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        self.seen: set[tuple[Any, ...]] = set()
        self.trainings: list[dict[str, Any]] = []
        self.calls: Counter[str] = Counter()
        self.pending = 0
        self.pending_media = 1
        self.live_model: str | None = None
        self.uploads_left = -1
        """How many uploads pass before the connection breaks for good; negative: all."""
        self.outages: list[int] = []
        """Statuses of the next answers, whatever is asked; 0 breaks the connection."""
        routes = [
            Route("/items", self.list_items, methods=["GET"]),
            Route("/items", self.post_item, methods=["POST"]),
            Route("/items/{item_id:path}", self.put_item, methods=["PUT"]),
            Route("/events", self.post_events, methods=["POST"]),
            Route("/recommend/{user_id:path}", self.recommend),
            Route("/admin/trainings", self.post_training, methods=["POST"]),
            Route("/admin/trainings", self.list_trainings, methods=["GET"]),
            Route("/admin/trainings/{training_id}", self.get_training),
            Route("/admin/keys", self.post_key, methods=["POST"]),
            Route("/admin/keys", self.list_keys, methods=["GET"]),
            Route("/admin/keys/{key_id:int}", self.delete_key, methods=["DELETE"]),
            Route("/admin/status", self.status),
            Route("/health/ready", self.ready),
        ]
        self.app = Starlette(routes=[Mount("/v1", routes=routes), *routes])

    def transport(self) -> httpx.AsyncBaseTransport:
        """Answers in place of the network."""
        inner = httpx.ASGITransport(self.app)

        async def handle(request: httpx.Request) -> httpx.Response:
            self.calls[f"{request.method} {request.url.path.removeprefix('/v1')}"] += 1
            if self.outages:
                status = self.outages.pop(0)
                if status == 0:
                    raise httpx.ConnectError("refused", request=request)
                return httpx.Response(status, json={"title": "Away"}, request=request)
            if request.headers.get("Authorization") != f"Bearer {KEY}":
                return httpx.Response(401, json={"title": "Not authenticated", "detail": "No key."}, request=request)
            answer = await inner.handle_async_request(request)
            return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())

        return httpx.MockTransport(handle)

    async def list_items(self, request: Request) -> Response:
        limit, after = int(request.query_params["limit"]), int(request.query_params.get("cursor", 0))
        shown = list(self.items.values())[after : after + limit]
        more = after + limit < len(self.items)
        return JSONResponse({"items": shown, "next_cursor": str(after + limit) if more else None})

    async def post_item(self, request: Request) -> Response:
        if self.uploads_left == 0:
            self.outages = [0] * 100
        self.uploads_left -= 1
        async with request.form() as form:
            fields = json.loads(str(form["item"]))
            blobs = {name: await part.read() for name, part in form.items() if isinstance(part, UploadFile)}
        media = {}
        for name, data in blobs.items():
            if data == b"corrupt":
                return problem(422, "Invalid media", errors=[{"field": name, "message": "not decodable"}])
            media[name] = {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}
        return self._keep(fields.pop("item_id"), fields, media)

    async def put_item(self, request: Request) -> Response:
        return self._keep(request.path_params["item_id"], await request.json(), {})

    def _keep(self, item_id: str, fields: dict[str, Any], media: dict[str, Any]) -> Response:
        if "refuse" in item_id:
            return problem(422, "Invalid request", errors=[{"field": "item_id", "message": "refused"}])
        had = self.items.get(item_id, {}).get("media", {})
        self.items[item_id] = {"item_id": item_id, "available": True, **fields, "media": {**had, **media}}
        return JSONResponse(self.items[item_id], 201)

    async def post_events(self, request: Request) -> Response:
        results = [self._take(event) for event in (await request.json())["events"]]
        counts = Counter(result["status"] for result in results)
        report = {"accepted": counts["accepted"], "duplicates": counts["duplicate"], "rejected": counts["rejected"]}
        return JSONResponse({**report, "results": results}, 207 if counts["rejected"] else 200)

    def _take(self, event: dict[str, Any]) -> dict[str, Any]:
        if event["user_id"] == "nobody":
            return {"status": "rejected", "errors": [{"field": "user_id", "message": "refused"}]}
        identity = (event["user_id"], event["item_id"], event["type"], event["timestamp"])
        if identity in self.seen:
            return {"status": "duplicate"}
        self.seen.add(identity)
        self.events.append(event)
        return {"status": "accepted"}

    async def recommend(self, request: Request) -> Response:
        item = {"item_id": "i1", "rank": 1, "score": 0.5, "title": "One", "shares": {"text": 0.25, "image": 0.75}}
        answer = {
            "user_id": request.path_params["user_id"],
            "model_version": "v1",
            "personalised": True,
            "fallback": None,
        }
        return JSONResponse({**answer, "recommendation_id": "r1", "items": [item]})

    async def post_training(self, request: Request) -> Response:
        training = {
            "id": f"t{len(self.trainings)}",
            "state": "queued",
            "hyperparameters": {},
            "progress": None,
            "result": None,
            "error": None,
        }
        self.trainings.append({**training, **await request.json()})
        return JSONResponse(self.trainings[-1], 202)

    async def list_trainings(self, request: Request) -> Response:
        return JSONResponse({"trainings": self.trainings[::-1], "next_cursor": None})

    async def get_training(self, request: Request) -> Response:
        """Each look finds it one step further: running, then ended."""
        training = next(found for found in self.trainings if found["id"] == request.path_params["training_id"])
        if training["state"] == "queued":
            progress = {
                "stage": "training",
                "epoch": 1,
                "epochs": 2,
                "loss": 5.0,
                "hr10": 0.1,
                "ndcg10": 0.05,
                "seconds": 1.5,
            }
            training |= {"state": "running", "progress": progress}
        elif training["hyperparameters"].get("fail"):
            training |= {"state": "failed", "error": "asked to"}
        else:
            metrics = {
                "test": {"hr10": 0.3, "ndcg10": 0.2, "mrr": 0.1},
                "baselines": {"popular": {"hr10": 0.1, "ndcg10": 0.05}},
            }
            self.live_model = "v1"
            training |= {"state": "succeeded", "result": {"model_version": "v1", "promoted": True, "metrics": metrics}}
        return JSONResponse(training)

    async def post_key(self, request: Request) -> Response:
        return JSONResponse({"id": 7, "key": "crs_new", **await request.json()}, 201)

    async def list_keys(self, request: Request) -> Response:
        key = {
            "id": 7,
            "name": "shop",
            "prefix": "crs_new",
            "scopes": ["recommend"],
            "created_at": "2026-01-01",
            "revoked_at": None,
        }
        return JSONResponse({"keys": [key]})

    async def delete_key(self, request: Request) -> Response:
        return Response(status_code=204) if request.path_params["key_id"] == 7 else problem(404, "Key not found")

    async def status(self, request: Request) -> Response:
        """Each look finds one item fewer pending."""
        counts = {"pending": self.pending, "encoded": 0, "ready": len(self.items), "failed": 0}
        self.pending = max(0, self.pending - 1)
        return JSONResponse(
            {
                "project": "default",
                "items": {**counts, "total": len(self.items)},
                "media": {"text": {"pending": self.pending_media, "encoded": 5, "failed": 0}},
                "events": len(self.events),
                "users": 4,
                "live_model": self.live_model,
                "jobs": {"queued": 0, "running": 1},
            }
        )

    async def ready(self, request: Request) -> Response:
        return JSONResponse({"status": "ok"})
