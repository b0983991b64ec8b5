"""Reads media from requests: raw bytes, a multipart part, or a text as JSON; spooled to disk, never past the limit."""

import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from io import BytesIO
from typing import BinaryIO, cast

from fastapi import Request
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile

from app.core.errors import InvalidRequest, PayloadTooLarge, message_of
from app.items.intake import MediaIntake, spooled_within
from app.items.media_urls import MAX_URL_CHARACTERS
from app.items.schemas import ItemCreate, TextBody, UrlBody

SPOOL_BYTES = 1 << 20
JSON_ESCAPE = 6
"""Most bytes that JSON writes for one byte of text."""
ITEM_PART = "item"
FILE_PART = "file"


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


@asynccontextmanager
async def one_medium(request: Request, modality: str, intake: MediaIntake) -> AsyncIterator[BinaryIO | str]:
    """The one medium of a request, as a file that lives as long as the context, or the address to fetch it from."""
    limit = intake.max_bytes(modality)
    kind = _content_type(request)
    if kind == "multipart/form-data":
        async with request.form(max_files=1, max_fields=1) as form:
            yield spooled_within(_part(form, FILE_PART), field=FILE_PART, limit_bytes=limit)
    elif kind == "application/json":
        most = JSON_ESCAPE * (limit if modality == "text" else MAX_URL_CHARACTERS)
        async with _spooled(request, field=modality, limit_bytes=most) as file:
            yield _text_or_url(file, modality)
    else:
        async with _spooled(request, field=modality, limit_bytes=limit) as file:
            yield file


@asynccontextmanager
async def _spooled(request: Request, *, field: str, limit_bytes: int) -> AsyncIterator[BinaryIO]:
    """The body as a file, rewound."""
    with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as spool:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit_bytes:
                raise PayloadTooLarge(limit_bytes=limit_bytes, field=field)
            spool.write(chunk)
        spool.seek(0)
        yield cast(BinaryIO, spool)


def _text_or_url(file: BinaryIO, modality: str) -> BinaryIO | str:
    body = file.read()
    try:
        if modality == "text" and not _names_url(body):
            return BytesIO(TextBody.model_validate_json(body).text.encode())
        return UrlBody.model_validate_json(body).url
    except ValidationError as error:
        raise invalid(error, prefix=()) from error


def _names_url(body: bytes) -> bool:
    try:
        UrlBody.model_validate_json(body)
    except ValidationError:
        return False
    return True


@asynccontextmanager
async def item_with_media(
    request: Request, intake: MediaIntake
) -> AsyncIterator[tuple[ItemCreate, Mapping[str, BinaryIO]]]:
    """The parts of a multipart upload: `item` as JSON, and one file for each modality; or the item alone, as JSON."""
    kind = _content_type(request)
    if kind == "application/json":
        async with _spooled(request, field="body", limit_bytes=SPOOL_BYTES) as body:
            yield _item(body, prefix=()), {}
        return
    if kind != "multipart/form-data":
        takes = "application/json, or multipart/form-data with a part 'item' and a part for each modality"
        raise InvalidRequest.of("body", f"must be {takes}")
    async with request.form(max_files=32, max_fields=32) as form:
        part = spooled_within(_part(form, ITEM_PART), field=ITEM_PART, limit_bytes=SPOOL_BYTES)
        item = _item(part, prefix=(ITEM_PART,))
        yield item, {name: _medium(form, name, intake) for name in form if name != ITEM_PART}


def _item(file: BinaryIO, *, prefix: tuple[str, ...]) -> ItemCreate:
    try:
        return ItemCreate.model_validate_json(file.read())
    except ValidationError as error:
        raise invalid(error, prefix=prefix) from error


def _medium(form: FormData, modality: str, intake: MediaIntake) -> BinaryIO:
    intake.check_modality(modality)
    return spooled_within(_part(form, modality), field=modality, limit_bytes=intake.max_bytes(modality))


def _part(form: FormData, name: str) -> BinaryIO:
    parts = form.getlist(name)
    if len(parts) != 1:
        raise InvalidRequest.of(name, "is missing" if not parts else "must be sent once")
    part = parts[0]
    # A part in a foreign character set may hold what UTF-8 cannot: whoever reads the bytes will say so.
    return part.file if isinstance(part, UploadFile) else BytesIO(part.encode(errors="surrogatepass"))


def invalid(error: ValidationError, *, prefix: tuple[str, ...]) -> InvalidRequest:
    """Names every field that is wrong."""
    errors = [
        {"field": ".".join((*prefix, *map(str, one["loc"]))) or "body", "message": message_of(one)}
        for one in error.errors()
    ]
    return InvalidRequest(f"{errors[0]['field']}: {errors[0]['message']}", errors=errors)
