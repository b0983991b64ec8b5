"""`crossan serve`: the API alone, in the foreground, as containers want it."""

from contextlib import ExitStack

from app.cli.launch import api_children
from app.cli.listening import Address, bind
from app.cli.options import ApiProcesses, Port, with_processes
from app.cli.output import notes
from app.cli.supervisor import Supervisor, stop_on_signals
from app.core.config import Settings


def serve(*, port: Port = None, api_processes: ApiProcesses = None) -> None:
    """Run the API at CROSSAN_HOST and CROSSAN_PORT; everything else has to run already. Logs go to standard output."""
    settings = with_processes(Settings(), api_processes)
    with ExitStack() as ending:
        address = bind(settings.host, settings.port if port is None else port, processes=settings.api_processes)
        ending.callback(address.listener.close)
        if settings.api_processes == 1:
            from app.cli.serve import main

            main(str(address.listener.detach()))
        else:
            _supervise(settings, ending, address)


def _supervise(settings: Settings, ending: ExitStack, address: Address) -> None:
    """One that ends is started again, and the others serve on."""
    stop = stop_on_signals()
    supervisor = Supervisor(
        ending.enter_context(api_children(settings, {}, address)),
        logs=None,
        note=lambda line: notes.print(f"  ! {line}", markup=False, soft_wrap=True),
        revive=list,
    )
    ending.callback(supervisor.stop)
    supervisor.start()
    supervisor.run(stop.is_set)
