"""The program starts again once with glibc's settings, whatever the environment."""

import os
import subprocess
import sys

import pytest

from modelkeep import allocator

PROGRAM = """
import os, sys
from modelkeep import allocator
allocator.ensure({environ})
print(os.getpid(), *(os.environ.get(key, "none") for key in allocator.SETTINGS), *sys.argv[1:])
"""
glibc_only = pytest.mark.skipif(not allocator._is_glibc(), reason="glibc's settings")


def run(environ: str = "os.environ", **settings: str) -> tuple[int, list[str]]:
    """The pid we started, and what the program printed."""
    kept = {key: value for key, value in os.environ.items() if key not in allocator.SETTINGS}
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(environ=environ), "argument"],
        env=kept | settings,
        stdout=subprocess.PIPE,
        text=True,
    )
    printed, _ = child.communicate(timeout=20)
    assert child.returncode == 0
    return child.pid, printed.split()


@glibc_only
def test_it_starts_again_with_the_settings_and_keeps_pid_and_arguments() -> None:
    pid, printed = run()
    assert printed == [str(pid), "134217728", "536870912", "16777216", "argument"]


@glibc_only
def test_what_the_user_has_set_stays() -> None:
    _, printed = run(MALLOC_TRIM_THRESHOLD_="1000000")
    assert printed[1:4] == ["134217728", "1000000", "16777216"]


@glibc_only
def test_it_starts_again_once_even_if_the_settings_get_lost() -> None:
    _, printed = run("{}")
    assert printed[-1] == "argument"


def test_it_returns_where_the_settings_mean_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator, "_is_glibc", lambda: False)
    monkeypatch.setattr(os, "execve", lambda *_: pytest.fail("started again"))
    allocator.ensure({})


def test_it_returns_when_all_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "execve", lambda *_: pytest.fail("started again"))
    allocator.ensure(allocator.SETTINGS)
