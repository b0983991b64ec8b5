"""Other recommenders on the same machine in the same run; each has an environment of its own, for they clash."""

from bench.peers.figures import measure

__all__ = ["measure"]
