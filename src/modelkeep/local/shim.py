"""Becomes the program of a child after tying its life to its parent's.

Run by path with `python -I -S`, so that it starts in milliseconds and sees no site-packages:
it must import the standard library only. Arguments: parent pid, signal on the parent's death,
uid and gid to become (-1 keeps them), then the program and its arguments.

A program of its own rather than a `preexec_fn`, which may deadlock when the parent has threads.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def main(arguments: list[str]) -> None:
    """Drop to the user, ask for the signal, check that the parent lives, become the program."""
    parent, death_signal, uid, gid = (int(text) for text in arguments[:4])
    os.umask(0o077)
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        # After setuid: a change of credentials clears the setting (prctl(2)).
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:  # it died before we asked
        sys.exit(1)
    os.execv(arguments[4], arguments[4:])  # noqa: S606 - the parent chose the program


if __name__ == "__main__":
    main(sys.argv[1:])
