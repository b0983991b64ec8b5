"""Versions are looked at, compared, promoted, rolled back, archived, deleted and downloaded."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.responses import StreamingResponse

from app.api.auth import Admin, documented
from app.api.deps import Cursor, EdgeDep, Limit
from app.core.errors import ModelNotFound
from app.models.download import zip_chunks
from app.models.schemas import ModelComparison, ModelDetail, ModelList, ModelRead, PromotionPage
from app.recommendations.index_reports import with_indexes

router = APIRouter(prefix="/admin", tags=["models"], dependencies=documented)

Version = Annotated[str, Path(max_length=32, description="A version, as `v7`.", examples=["v7"])]
Versions = Annotated[
    str,
    Query(
        max_length=400,
        description="Two to ten versions; the first is what the others are compared with.",
        examples=["v1,v2"],
    ),
]
ZIP = "application/zip"
_ZIP: dict[int | str, dict[str, Any]] = {
    200: {"description": "The zip.", "content": {ZIP: {"schema": {"type": "string", "format": "binary"}}}}
}


@router.get("/models")
async def list_models(edge: EdgeDep, principal: Admin) -> ModelList:
    """Versions, newest first."""
    models = await edge.call(principal.project, lambda services: services.models.list_models())
    return ModelList(models=with_indexes(models, edge.directory.loaded(principal.project)))


@router.get("/models/compare")
async def compare_models(versions: Versions, edge: EdgeDep, principal: Admin) -> ModelComparison:
    """Versions side by side: metrics and parameters with their differences, and the hyperparameters that differ."""
    return await edge.call(principal.project, lambda services: services.model_reader.compare(versions))


@router.post("/models/rollback")
async def rollback_model(edge: EdgeDep, principal: Admin) -> ModelRead:
    """Let the version serve that was live before the present one; once more goes back further."""
    model = await edge.call(principal.project, lambda services: services.models.rollback(key_id=principal.key_id))
    await edge.directory.refresh_if_loaded(principal.project)
    return model


@router.get("/promotions")
async def list_promotions(edge: EdgeDep, principal: Admin, limit: Limit = 20, cursor: Cursor = None) -> PromotionPage:
    """Which version went live when, why and by whom, newest first."""
    return await edge.call(
        principal.project, lambda services: services.model_reader.promotions(limit=limit, cursor=cursor)
    )


@router.get("/models/{version}")
async def get_model(version: Version, edge: EdgeDep, principal: Admin) -> ModelDetail:
    """Everything of a version."""
    model = await edge.call(principal.project, lambda services: services.model_reader.get(version))
    return with_indexes([model], edge.directory.loaded(principal.project))[0]


@router.delete("/models/{version}", status_code=204)
async def delete_model(version: Version, edge: EdgeDep, principal: Admin) -> None:
    """Remove a version and its files; 409 for one that serves, alone or in a running experiment."""
    await edge.call(principal.project, lambda services: services.versions.delete(version))


@router.post("/models/{version}/promote")
async def promote_model(version: Version, edge: EdgeDep, principal: Admin) -> ModelRead:
    """Let a version serve, be it newer or older; 409 for an archived one."""
    key_id = principal.key_id
    model = await edge.call(principal.project, lambda services: services.models.promote(version, key_id=key_id))
    await edge.directory.refresh_if_loaded(principal.project)
    return model


@router.post("/models/{version}/archive")
async def archive_model(version: Version, edge: EdgeDep, principal: Admin) -> ModelRead:
    """Drop a version's item vectors and keep its files; 409 for one that serves."""
    return await edge.call(principal.project, lambda services: services.versions.archive(version))


@router.post("/models/{version}/restore", status_code=202)
async def restore_model(version: Version, edge: EdgeDep, principal: Admin) -> ModelRead:
    """Have an archived version get its item vectors again; it can be promoted once its state is `ready`."""
    return await edge.call(principal.project, lambda services: services.versions.restore(version))


@router.get("/models/{version}/download", response_class=StreamingResponse, responses=_ZIP)
async def download_model(version: Version, edge: EdgeDep, principal: Admin) -> StreamingResponse:
    """A zip that recommends with `onnxruntime` and `numpy` alone: ONNX files, weights, item vectors and an example."""
    name, artifact = await edge.call(principal.project, lambda services: services.model_reader.located(version))
    folder = edge.context.artifacts.path(artifact)
    if not folder.is_dir():
        raise ModelNotFound(version)
    # Named, so that nobody compresses floats once more on the way.
    headers = {
        "Content-Disposition": f'attachment; filename="crossan-{name}.zip"',
        "Content-Encoding": "identity",
    }
    return StreamingResponse(zip_chunks(folder, name), media_type=ZIP, headers=headers)
