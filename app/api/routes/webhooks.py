"""Webhooks are made, looked at, paused, tested and removed."""

from uuid import UUID

from fastapi import APIRouter, Response

from app.api.auth import Admin, documented
from app.api.deps import EdgeDep
from app.webhooks.schemas import (
    DeliveryRead,
    WebhookCreate,
    WebhookCreated,
    WebhookDetail,
    WebhookList,
    WebhookPatch,
    WebhookRead,
)

router = APIRouter(prefix="/admin/webhooks", tags=["webhooks"], dependencies=documented)


@router.post("", status_code=201)
async def create_webhook(order: WebhookCreate, edge: EdgeDep, principal: Admin, response: Response) -> WebhookCreated:
    """Have signed messages sent to an address (Standard Webhooks); the secret is shown this once."""
    # Nor is it kept with the answer to a request that has an Idempotency-Key.
    response.headers["Cache-Control"] = "no-store"
    return await edge.call(principal.project, lambda services: services.webhooks.create(order))


@router.get("")
async def list_webhooks(edge: EdgeDep, principal: Admin) -> WebhookList:
    """Webhooks, oldest first."""
    return WebhookList(webhooks=await edge.call(principal.project, lambda services: services.webhooks.list_webhooks()))


@router.get("/{webhook_id}")
async def get_webhook(webhook_id: UUID, edge: EdgeDep, principal: Admin) -> WebhookDetail:
    """A webhook with its newest messages."""
    return await edge.call(principal.project, lambda services: services.webhooks.get(webhook_id))


@router.patch("/{webhook_id}")
async def patch_webhook(webhook_id: UUID, patch: WebhookPatch, edge: EdgeDep, principal: Admin) -> WebhookRead:
    """Pause a webhook, let it go on, or change its address or events."""
    return await edge.call(principal.project, lambda services: services.webhooks.patch(webhook_id, patch))


@router.delete("/{webhook_id}", status_code=204)
async def delete_webhook(webhook_id: UUID, edge: EdgeDep, principal: Admin) -> None:
    """Remove a webhook, with what has not been sent yet."""
    await edge.call(principal.project, lambda services: services.webhooks.delete(webhook_id))


@router.post("/{webhook_id}/test", status_code=202)
async def test_webhook(webhook_id: UUID, edge: EdgeDep, principal: Admin) -> DeliveryRead:
    """Send a message of the type `webhook.test`."""
    return await edge.call(principal.project, lambda services: services.webhooks.test(webhook_id))
