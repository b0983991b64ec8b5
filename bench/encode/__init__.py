"""The encoding of media, from pending contents to stored states, against the encoders' own forward passes."""

from bench.encode.figures import measure

__all__ = ["measure"]
