"""Finding the programs inside the wheels without importing the wheels' own packages, which do work on import."""

from importlib.util import find_spec
from pathlib import Path

from app.embedded.errors import WheelMissing


def file_of_wheel(wheel: str, pattern: str, *, instead: str) -> Path:
    """The one file of an installed wheel that matches a glob pattern.

    Args:
        wheel: The distribution's name; its package has the same with underscores.
        pattern: Below the package's folder.
        instead: The variable that makes the wheel unnecessary, for the message.

    Raises:
        WheelMissing: It is not installed, or not for this platform.
    """
    spec = find_spec(wheel.replace("-", "_"))
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for path in sorted(Path(folder).glob(pattern)):
            return path.resolve()
    raise WheelMissing(wheel, instead)
