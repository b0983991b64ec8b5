"""Runs an API process that tells where its time goes: `python -m bench.serve.profiled FILE_DESCRIPTOR REPORT`.

Between one SIGUSR1 and the next it samples; then it writes the report.
"""

import signal
import sys
from pathlib import Path
from types import FrameType

from app.cli import serve
from bench.serve.sampling import Sampler, report


class Toggle:
    """Starts a sampler, and ends it the next time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sampler: Sampler | None = None

    def __call__(self, sig: int, frame: FrameType | None) -> None:
        """Handle the signal."""
        if self._sampler is None:
            self._sampler = Sampler()
            self._sampler.start()
            return
        self._sampler.stop()
        self._path.write_text(report(self._sampler.seconds))
        self._sampler = None


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, Toggle(Path(sys.argv[2])))
    serve.main(sys.argv[1])
