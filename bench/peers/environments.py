"""Python environments of peers, made once below the cache folder by pip."""

import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.measuring import Skipped

READY = "installed"
PATIENCE_S = 600
SHOWN = 400
"""Characters of pip's own words in a message."""


@dataclass(frozen=True)
class Peer:
    """A peer: its name, and what pip installs."""

    name: str
    packages: Sequence[str]


LIBSERVING = Peer(
    "libserving",
    ("LibRecommender==1.5.2", "sanic>=25,<26", "redis>=6", "pydantic<2", "ujson", "aiohttp", "faiss-cpu"),
)
IMPLICIT = Peer("implicit", ("implicit==0.7.3",))
RECTOOLS = Peer("rectools", ("rectools[torch]==0.19.0",))


def python_of(peer: Peer, cache_dir: Path) -> Path:
    """The interpreter of a peer's environment in the cache; it is made if it is new, or only half made.

    Raises:
        Skipped: It can't be installed here.
    """
    folder = cache_dir / "peers" / peer.name
    ready, wanted = folder / READY, " ".join(peer.packages)
    python = folder / "bin" / "python"
    if ready.is_file() and ready.read_text() == wanted:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    command = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--only-binary", ":all:"]
    try:
        done = subprocess.run(
            [*command, *peer.packages], capture_output=True, text=True, check=False, timeout=PATIENCE_S
        )
    except subprocess.TimeoutExpired as error:
        raise Skipped(f"{peer.name} was not installed within {PATIENCE_S} s") from error
    if done.returncode:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise Skipped(f"{peer.name} can't be installed for Python {version}: {done.stderr.strip()[-SHOWN:]}")
    ready.write_text(wanted)
    return python
