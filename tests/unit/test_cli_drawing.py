"""What people see: progress bars, lines, and tables that fit."""

import io
import os
import shutil
import sys
import time

import pytest
from rich import console as rich_console
from rich import text

from modelkeep import client
from modelkeep.cli import grid, progress

MIB = 1024 * 1024


def run_through(listener: client.Progress) -> None:
    listener.step_began(client.Step.SEND, 2, 10 * MIB)
    listener.file_began("a[red].onnx", 8 * MIB, 2 * MIB)
    listener.file_began("b.json", 2 * MIB, 0)
    listener.file_moved("a[red].onnx", 5 * MIB)
    listener.noted("Interrupted, trying again: the line was cut.")
    listener.file_moved("a[red].onnx", 4 * MIB)
    listener.file_moved("a[red].onnx", 8 * MIB)
    listener.file_ended("a[red].onnx")
    listener.file_ended("b.json")
    listener.step_ended(client.Step.SEND)


def test_bars_leave_the_notes_and_one_line_for_each_step() -> None:
    shown = io.StringIO()
    console = rich_console.Console(file=shown, force_terminal=True, width=120, color_system=None)
    bars = progress.Bars(console)
    run_through(bars)
    bars.close()
    assert "a[red].onnx" in shown.getvalue()
    assert "going on with a[red].onnx at 2.0 MiB of 8.0 MiB" in shown.getvalue()
    assert "Interrupted, trying again" in shown.getvalue()
    assert "sent 2 files, 10.0 MiB in" in shown.getvalue()


def test_a_pipe_gets_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    run_through(progress.Lines())
    assert capsys.readouterr().err.splitlines() == [
        "sending 2 files, 10.0 MiB",
        "going on with a[red].onnx at 2.0 MiB of 8.0 MiB",
        "Interrupted, trying again: the line was cut.",
    ]


def test_a_pipe_hears_of_a_long_step_each_ten_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    lines = progress.Lines()
    lines.step_began(client.Step.FETCH, 1, 100 * MIB)
    lines.file_began("a", 100 * MIB, 0)
    for _ in range(20):
        now += 1
        lines.file_moved("a", int((now - 1000) * 5 * MIB))
    lines.file_ended("a")
    lines.step_ended(client.Step.FETCH)
    assert capsys.readouterr().err.splitlines() == [
        "fetching 1 file, 100.0 MiB",
        "fetching 50 % of 100.0 MiB, 5.0 MiB/s, 10 s left",
        "fetching 100 % of 100.0 MiB, 5.0 MiB/s, 0 s left",
        "fetched in 20 s, 5.0 MiB/s",
    ]


def test_a_tally_counts_positions_not_movements() -> None:
    tally = progress.Tally(1, 10)
    tally.begin("a", 10, 4)
    tally.move("a", 8)
    tally.move("a", 5)
    assert (tally.done_bytes, tally.moved_bytes) == (5, 1)
    tally.end("a")
    assert (tally.done_bytes, tally.moved_bytes) == (10, 6)


@pytest.mark.parametrize(
    ("columns", "shown"), [(200, ["A", "B", "C"]), (16, ["A", "C"]), (8, ["A"])]
)
def test_a_narrow_terminal_gets_fewer_columns(
    monkeypatch: pytest.MonkeyPatch, columns: int, shown: list[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    size = os.terminal_size((columns, 20))
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: size)
    row = [text.Text("x" * 6) for _ in range(3)]
    table = grid.of(("A", "B", "C"), [row], expendable=("B", "C"))
    assert [column.header for column in table.columns] == shown
