"""`crossan up`: the whole service on one machine, under one supervisor."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Annotated, Any

import httpx
import typer

from app.cli.demo import prepare_demo
from app.cli.launch import api_children, child_environment, ensure_key, other_children
from app.cli.listening import Address, bind
from app.cli.options import ADDRESS_FILE, ApiProcesses, AsJson, Port, with_processes
from app.cli.output import notes, print_json
from app.cli.recommend import recommendation_table
from app.cli.supervisor import Supervisor, stop_on_signals
from app.core.config import Settings
from app.core.errors import CrossanError
from app.embedded.services import BundledServices
from crossan.client import AsyncClient, ClientError, RetryPolicy

READY_S = 120.0


def up(
    *,
    demo: Annotated[bool, typer.Option("--demo", help="Load the synthetic demo catalogue, and train on it.")] = False,
    api_processes: ApiProcesses = None,
    port: Port = None,
    as_json: AsJson = False,
) -> None:
    """Start everything: database, cache, migrations, a first key, API, workers. Ctrl-C stops it all."""
    settings = with_processes(Settings(), api_processes)
    stop = stop_on_signals()
    notes.print(f"[bold]crossan[/] starts in {settings.data_dir}")
    with ExitStack() as ending:
        address = bind(settings.host, settings.port if port is None else port, processes=settings.api_processes)
        ending.callback(address.listener.close)
        services = BundledServices(settings.data_dir, database_url=settings.database_url, redis_url=settings.redis_url)
        with _step("PostgreSQL and Valkey"):
            endpoints = services.start()
        ending.callback(services.stop)
        ending.callback((settings.data_dir / ADDRESS_FILE).unlink, missing_ok=True)
        with _step("database schema and key"):
            key = _prepare_database()
        environment = child_environment(settings, endpoints)
        api = ending.enter_context(api_children(settings, environment, address))
        supervisor = Supervisor(
            [*api, *other_children(environment)],
            logs=settings.data_dir / "logs",
            note=lambda line: notes.print(f"  ! {line}", markup=False, soft_wrap=True),
            revive=services.revive,
        )
        _supervise(supervisor, settings, address, key=key, demo=demo, as_json=as_json, stop=stop)
    notes.print("stopped")


def _supervise(
    supervisor: Supervisor,
    settings: Settings,
    address: Address,
    *,
    key: str,
    demo: bool,
    as_json: bool,
    stop: threading.Event,
) -> None:
    front = threading.Thread(
        target=_front,
        args=(settings, address.url, key),
        kwargs={"demo": demo, "as_json": as_json, "stop": stop},
        daemon=True,
    )
    try:
        supervisor.start()
        front.start()
        supervisor.run(stop.is_set)
    finally:
        stop.set()
        notes.print("stopping …")
        supervisor.stop()


def _prepare_database() -> str:
    from app.db.migrate import upgrade

    settings = Settings()
    upgrade(settings.database)
    return ensure_key(settings)


def _front(settings: Settings, url: str, key: str, *, demo: bool, as_json: bool, stop: threading.Event) -> None:
    """What happens in front of the person while the supervisor works: wait, load the demo, show the way in."""
    try:
        with _step(f"API at {url}"):
            _wait_until_ready(url, stop)
        (settings.data_dir / ADDRESS_FILE).write_text(f"{url}\n")
        page = f"{url}/ui/#key={key}"
        result: dict[str, Any] = {"url": url, "docs": f"{url}/docs", "page": page, "key": key}
        result["data_dir"] = str(settings.data_dir)
        if demo:
            result |= asyncio.run(_demo(settings, url, key))
    except (ClientError, CrossanError, OSError) as error:
        if not stop.is_set():
            notes.print(f"[red]error[/] {error}\n  The service goes on; logs are in {settings.data_dir / 'logs'}.")
        return
    if stop.is_set():
        return
    if as_json:
        print_json(result)
    else:
        _welcome(result, settings)


async def _demo(settings: Settings, url: str, key: str) -> dict[str, Any]:
    async with AsyncClient(url, key, retries=RetryPolicy(attempts=8)) as client:
        return await prepare_demo(client, settings.data_dir / "demo")


def _welcome(result: dict[str, Any], settings: Settings) -> None:
    notes.print(f"\n[bold green]Ready[/]  {result['url']}   API documentation: {result['docs']}")
    notes.print(f"Page   {result['page']}", soft_wrap=True)
    notes.print(f"Key    {result['key']}   (kept in {settings.data_dir / 'admin.key'})", soft_wrap=True)
    for title, command in result.get("try", {}).items():
        notes.print(f"\n[dim]# {title}[/]")
        notes.print(command, markup=False, soft_wrap=True)
    if "sample" in result:
        notes.print()
        notes.print(recommendation_table(result["sample"]))
    notes.print("\nCtrl-C stops everything; the next start takes up the data again.")


def _wait_until_ready(url: str, stop: threading.Event) -> None:
    until = time.monotonic() + READY_S
    with httpx.Client(base_url=url, timeout=5.0) as http:
        while time.monotonic() < until and not stop.is_set():
            try:
                if http.get("/health/ready").status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            stop.wait(0.1)
    if not stop.is_set():
        raise ClientError(f"The API did not become ready within {READY_S:.0f} s.")


@contextmanager
def _step(what: str, clock: Callable[[], float] = time.monotonic) -> Iterator[None]:
    started = clock()
    yield
    notes.print(f"  [green]✓[/] {what}  [dim]{clock() - started:.1f} s[/]")
