"""The system user that the services run as when this process is root, and what it may reach."""

import os
import pwd
import stat
import subprocess
import time
from pathlib import Path

from app.embedded.errors import EmbeddedError

SERVICE_USER = "crossan"


def service_user() -> str:
    """The user for the services, made if need be; empty unless this process is root, which PostgreSQL refuses.

    Raises:
        EmbeddedError: Root cannot make the user.
    """
    if os.geteuid() != 0:
        return ""
    for _ in range(20):
        try:
            pwd.getpwnam(SERVICE_USER)
        except KeyError:
            failure = _create()
        else:
            return SERVICE_USER
    raise EmbeddedError(
        f"PostgreSQL does not run as root, and the system user '{SERVICE_USER}' cannot be made: {failure} "
        "Run as an ordinary user, or set CROSSAN_DATABASE_URL and CROSSAN_REDIS_URL."
    )


def _create() -> str:
    command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SERVICE_USER]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "there is no 'useradd'."
    if done.returncode:
        time.sleep(0.1)
    return done.stderr.strip()


def own(path: Path, user: str) -> None:
    """Give a folder to the service user, private; nothing without one."""
    if user:
        entry = pwd.getpwnam(user)
        os.chown(path, entry.pw_uid, entry.pw_gid)
    path.chmod(0o700)


def let_through(path: Path, user: str) -> None:
    """Let the service user walk down to `path`: its parents get the execute bit for others, and never the read bit."""
    if not user:
        return
    for parent in path.parents:
        mode = parent.stat().st_mode
        if not mode & stat.S_IXOTH:
            parent.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)


def let_read(tree: Path, user: str) -> None:
    """Let the service user read and run an installed tree, which a strict umask may have closed."""
    if not user:
        return
    let_through(tree, user)
    for path in (tree, *tree.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        wanted = mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
        if mode != wanted:
            path.chmod(wanted)
