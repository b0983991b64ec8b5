"""Signatures of messages, as the Standard Webhooks specification (version 1) has them."""

import base64
import hashlib
import hmac
import secrets

SECRET_MARK = "whsec_"
SECRET_BYTES = 32


def new_secret() -> str:
    """A secret of 256 random bits, as it is shown to whoever checks the signatures."""
    return SECRET_MARK + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def sign(secret: str, *, message_id: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature`: HMAC-SHA256 over id, time in seconds since 1970, and body, with dots between."""
    key = base64.b64decode(secret.removeprefix(SECRET_MARK))
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
