"""`crossan compare`: methods side by side on a folder of items, media and events."""

import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from app.cli.comparing.run import Comparison, Order
from app.cli.comparing.run import compare as run_comparison
from app.cli.comparing.show import Watch, print_table
from app.cli.output import notes
from app.cli.progress import status_line
from app.core.config import Settings
from crossan.client import ClientError
from model.compare.files import write_json


def compare(  # noqa: PLR0913 - one argument is one option of the command
    folder: Annotated[Path, typer.Argument(help="Holds items.csv, events.csv and the media files they name.")],
    *,
    methods: Annotated[
        list[str] | None, typer.Option(help="'crossan,iisan,id'; 'crossan:cross_path=none' is a row of its own.")
    ] = None,
    modalities: Annotated[
        list[str] | None, typer.Option(help="'text,image', several with ';' between, or 'all-subsets'. By default all.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="How often each is trained.")] = 3,
    out: Annotated[
        Path | None, typer.Option("--json", metavar="OUT", help="Write all results there, plots beside it.")
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="For all methods that read it; METHOD.KEY=VALUE for one."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="At most, for every method.")] = None,
    items: Annotated[int | None, typer.Option(min=2, help="Only so many of the most active items.")] = None,
    users: Annotated[int | None, typer.Option(min=2, help="Only so many of the most active users.")] = None,
    baselines: Annotated[bool, typer.Option(help="Also most-popular, Markov, item-kNN and ALS.")] = True,
    jobs: Annotated[int, typer.Option(min=1, help="Trainings at once; costs are comparable only with one.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="Of each training.")] = 1,
    cache: Annotated[Path | None, typer.Option(help="Of encoded media. By default in the data folder.")] = None,
    work: Annotated[Path | None, typer.Option(help="Of finished runs. By default in the data folder.")] = None,
) -> None:
    """Compare methods on one catalogue: same split, user encoder, loss, budget and early stopping.

    The same command goes on where it stopped, even if it was killed. Exit code 1 if any run failed.
    """
    if find_spec("torch") is None:
        raise ClientError("`crossan compare` trains: pip install 'crossan[worker,compare]'.")
    if out is not None:
        _check_target(out)
    settings = Settings()
    kept = settings.data_dir / "compare"
    order = Order(
        folder=folder,
        methods=methods or ["crossan,id"],
        modalities=modalities or (),
        settings=[*(setting or []), *([f"epochs={epochs}"] if epochs else [])],
        seeds=seeds,
        items=items,
        users=users,
        baselines=baselines,
        jobs=jobs,
        threads=threads,
    )
    found = _run(order, settings, cache=cache or kept / "cache", work=work or kept / "work", out=out)
    print_table(found.rows, seeds=seeds)
    if out is not None:
        _plot(found, out)
    if found.failed:
        raise typer.Exit(1)


def _check_target(out: Path) -> None:
    """Better now than after hours: whether the results can be written.

    Raises:
        ClientError: they cannot.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        raise ClientError(f"{out} can't be written ({error.strerror}): name another file with --json.") from error
    if out.is_dir():
        raise ClientError(f"{out} is a folder: name a file with --json.")


def _run(order: Order, settings: Settings, *, cache: Path, work: Path, out: Path | None) -> Comparison:
    """Runs everything; what is known so far is written after each run."""
    found: Comparison | None = None
    try:
        with status_line() as line:
            comparing = run_comparison(order, settings, cache=cache.resolve(), work=work.resolve(), watch=Watch(line))
            for found in comparing:
                if out is not None:
                    write_json(out, found.document())
    except KeyboardInterrupt:
        if found is not None:
            print_table(found.rows, seeds=order.seeds)
        raise ClientError("Interrupted; the same command goes on from here.") from None
    assert found is not None
    return found


def _plot(found: Comparison, out: Path) -> None:
    if find_spec("matplotlib") is None:
        notes.print("No plots: pip install 'crossan[compare]'.", markup=False)
        return
    from model.compare.plot import write_plots

    for path in write_plots(found.rows, out.with_suffix("")):
        notes.print(f"plot {path}", markup=False)
