"""Options that several commands share, and what they mean together."""

from pathlib import Path
from typing import Annotated

import typer

from app.core.config import Settings
from crossan.client import AsyncClient, ClientError, RetryPolicy

KEY_FILE = "admin.key"
"""In the data folder: the key that `crossan up` made, for commands on the same machine."""
ADDRESS_FILE = "address"
"""In the data folder: where the running service answers."""

Url = Annotated[
    str | None, typer.Option("--url", envvar="CROSSAN_URL", help="Address of the service.", show_envvar=True)
]
Key = Annotated[
    str | None,
    typer.Option("--key", envvar="CROSSAN_API_KEY", help="API key; by default the data folder's.", show_envvar=True),
]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help="Port of the API; 0 takes a free one.")]
ApiProcesses = Annotated[
    int | None,
    typer.Option("--api-processes", min=1, max=64, help="API processes; by default CROSSAN_API_PROCESSES, which is 1."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")]


def with_processes(settings: Settings, api_processes: int | None) -> Settings:
    """The settings with as many API processes as the option says, if it is given."""
    return settings if api_processes is None else settings.model_copy(update={"api_processes": api_processes})


def _read(path: Path) -> str:
    return path.read_text().strip() if path.is_file() else ""


def connect(url: str | None, key: str | None, *, attempts: int = 1) -> AsyncClient:
    """A client from the options, else from what a local `crossan up` left in the data folder.

    Raises:
        ClientError: There is no key anywhere.
    """
    settings = Settings()
    address = url or _read(settings.data_dir / ADDRESS_FILE) or f"http://{settings.host}:{settings.port}"
    secret = key or _read(settings.data_dir / KEY_FILE)
    if not secret:
        raise ClientError(
            f"No API key: give --key or CROSSAN_API_KEY (there is no {settings.data_dir / KEY_FILE}; "
            "`crossan up` makes it, `crossan keys create --project default` makes another)."
        )
    return AsyncClient(address, secret, retries=RetryPolicy(attempts=attempts))
