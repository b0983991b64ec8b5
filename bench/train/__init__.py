"""A training step beside its own matrix products, and an epoch beside that of RecTools."""

from bench.train.figures import measure

__all__ = ["measure"]
