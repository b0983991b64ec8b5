"""How time and memory grow with the catalogue, the users and the events; and what a large service needs by that."""

from bench.scale.curves import measure

__all__ = ["measure"]
