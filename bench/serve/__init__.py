"""The service under load, against a bare route on the same core."""

from bench.serve.figures import measure

__all__ = ["measure"]
