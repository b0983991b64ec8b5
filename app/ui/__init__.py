"""The web page: who would like what, and why; static files that use the same REST API as everybody else."""

from pathlib import Path

STATIC = Path(__file__).parent / "static"
