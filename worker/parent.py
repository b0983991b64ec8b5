"""How a child process ends with the one that started it, however that one ends."""

import os
import sys
import threading


def end_with_parent() -> None:
    """Ends this process at once when its standard input does, a pipe that only the parent holds."""

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1):
            pass
        os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()
