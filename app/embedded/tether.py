"""A script that gives up root, ties itself to its parent and becomes another program; standard library only.

`python tether.py PARENT_PID SIGNAL USER PROGRAM [ARGUMENT...]`. On Linux the kernel sends SIGNAL to the program when
the *thread* that started it ends, in whatever way; elsewhere the program merely runs. USER may be empty: no change.
"""

import ctypes
import os
import pwd
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1


def become(user: str) -> None:
    """Take the ids and groups of a system user, for good."""
    entry = pwd.getpwnam(user)
    os.initgroups(user, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def tie_to_parent(parent: int, death_signal: int) -> None:
    """Ask for `death_signal` at the parent's death; leave at once if it is dead already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the process that asked for this program is gone")


def main(arguments: Sequence[str]) -> None:
    """Run the named program in place of this one; the tie comes last: a change of user would undo it."""
    parent, death_signal, user, *program = arguments
    if user:
        become(user)
    tie_to_parent(int(parent), int(death_signal))
    os.execv(program[0], program)


if __name__ == "__main__":
    main(sys.argv[1:])
