import subprocess
import sys

CHILD = "import time; from worker.parent import end_with_parent; end_with_parent(); time.sleep(60)"


def test_a_process_follows_the_one_that_started_it() -> None:
    """The end of its standard input is all that a child sees of a parent that was killed."""
    with subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE) as process:
        assert process.stdin
        process.stdin.close()
        assert process.wait(50) == 1
