"""A typed client of the REST API, blocking and asynchronous, and a writer that batches events.

from crossan.client import Client, EventWriter

with Client("http://127.0.0.1:8000", key) as client, EventWriter(client) as events:
    events.write({"user_id": "u1", "item_id": "i1", "type": "view"})
    print(client.recommend("u1", limit=10)["items"])
"""

from crossan.client.async_client import AsyncClient
from crossan.client.async_writer import AsyncEventWriter
from crossan.client.calls import Call
from crossan.client.errors import ApiError, ClientError, EventsUnsent, Unreachable
from crossan.client.retries import RetryPolicy
from crossan.client.sync_client import Client
from crossan.client.writer import EventWriter

__all__ = [
    "ApiError",
    "AsyncClient",
    "AsyncEventWriter",
    "Call",
    "Client",
    "ClientError",
    "EventWriter",
    "EventsUnsent",
    "RetryPolicy",
    "Unreachable",
]
