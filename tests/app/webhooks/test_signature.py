"""Signatures against the example of the specification, and against the formula written out."""

import base64
import hashlib
import hmac

from app.webhooks.signature import new_secret, sign


def test_the_published_example() -> None:
    """The values that implementations of Standard Webhooks test themselves with."""
    signature = sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_formula() -> None:
    secret = new_secret()
    key = base64.b64decode(secret[len("whsec_") :])
    digest = hmac.new(key, "msg_ü.7.".encode() + b"\xff\x00", hashlib.sha256).digest()
    assert sign(secret, message_id="msg_ü", timestamp=7, body=b"\xff\x00") == "v1," + base64.b64encode(digest).decode()


def test_secrets_are_long_and_never_the_same() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert all(len(base64.b64decode(secret[len("whsec_") :])) == 32 for secret in secrets)
