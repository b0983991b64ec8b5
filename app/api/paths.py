"""The path of a request as routes are written with: below `/v1` and whatever the service is mounted at."""

from starlette.types import Scope

VERSION_PREFIX = "/v1"


def path_of(scope: Scope) -> str:
    """The path below the root path: the one that routes are written with."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path[len(root) :] if root and path.startswith(f"{root}/") else path
