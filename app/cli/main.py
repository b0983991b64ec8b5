"""The `crossan` command: assembly, and how errors look."""

import sys

import typer

from app.cli.bench import bench
from app.cli.compare import compare
from app.cli.imports import import_
from app.cli.keys import keys
from app.cli.output import notes, print_json
from app.cli.recommend import recommend
from app.cli.serving import serve
from app.cli.status import migrate, status
from app.cli.train import train
from app.cli.tune import tune
from app.cli.up import up
from app.core.errors import CrossanError
from crossan.client import ClientError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Self-hosted recommendations for text, images, audio and video.",
)
app.command()(up)
app.command()(serve)
app.command("import")(import_)
app.command()(train)
app.command()(tune)
app.command()(compare)
app.command()(recommend)
app.add_typer(keys, name="keys")
app.command()(bench)
app.command()(status)
app.command()(migrate)


def main() -> None:
    """Run a command; an expected error is one message and exit code 1 (JSON on stdout with --json)."""
    try:
        app()
    # The outermost frame of the process: what nobody expects still ends as a traceback.
    except Exception as error:
        expected = _expected(error)
        if expected is None:
            raise
        if "--json" in sys.argv:
            print_json({"error": describe(expected)})
        else:
            notes.print(f"error: {expected}", style="red", markup=False, soft_wrap=True)
        sys.exit(1)


def _expected(error: Exception) -> ClientError | CrossanError | None:
    """The error as a person is told of it, or None for a bug."""
    if isinstance(error, ClientError | CrossanError):
        return error
    from app.db.answers import as_unavailable

    return as_unavailable(error)


def describe(error: ClientError | CrossanError) -> dict[str, object]:
    """An error as a problem document."""
    if isinstance(error, ClientError):
        return error.describe()
    return {"title": error.title, "detail": error.detail, **({"errors": error.errors} if error.errors else {})}


if __name__ == "__main__":
    main()
