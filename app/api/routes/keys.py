"""API keys are made, listed and revoked."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from app.api.auth import Admin, documented
from app.api.deps import EdgeDep
from app.core.cursor import MAX_NUMBER
from app.projects.schemas import KeyCreate, KeyCreated, KeyList, KeyPatch, KeyRead

router = APIRouter(prefix="/admin", tags=["keys"], dependencies=documented)

KeyId = Annotated[int, Path(ge=1, le=MAX_NUMBER)]


@router.post("/keys", status_code=201)
async def create_key(new: KeyCreate, response: Response, edge: EdgeDep, principal: Admin) -> KeyCreated:
    """A new key of this project; its secret is shown this once."""
    project = principal.project
    # Holds a secret: nobody keeps it, not for an Idempotency-Key either.
    response.headers["Cache-Control"] = "no-store"
    return await edge.call(project, lambda services: services.keys.create_key(project, **new.model_dump()))


@router.get("/keys")
async def list_keys(edge: EdgeDep, principal: Admin) -> KeyList:
    """Keys, without their secrets."""
    project = principal.project
    return KeyList(keys=await edge.call(project, lambda services: services.keys.list_keys(project)))


@router.patch("/keys/{key_id}")
async def change_key(key_id: KeyId, patch: KeyPatch, edge: EdgeDep, principal: Admin) -> KeyRead:
    """Rename a key, or change its rate; within seconds every process goes by it."""
    project = principal.project
    return await edge.call(project, lambda services: services.keys.change_key(project, key_id, patch))


@router.delete("/keys/{key_id}", status_code=204)
async def revoke_key(key_id: KeyId, edge: EdgeDep, principal: Admin) -> None:
    """Revoke a key; within seconds every process refuses it."""
    project = principal.project
    await edge.call(project, lambda services: services.keys.revoke_key(project, key_id))
