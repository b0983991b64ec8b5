"""Bodies held in memory, within a limit of their own."""

from fastapi import Request

from app.core.errors import PayloadTooLarge


async def body_within(request: Request, *, limit_bytes: int) -> bytes:
    """The whole body; raises PayloadTooLarge as soon as it is past the limit."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > limit_bytes:
            raise PayloadTooLarge(limit_bytes=limit_bytes)
    return bytes(body)
