"""What comes in: events and media, from the request to where they are safe and count."""

from bench.ingest.figures import measure

__all__ = ["measure"]
