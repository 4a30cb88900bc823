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
from modelkeep.cli import drawing, grid, progress, tables
from modelkeep.client import convert
from modelkeep.v1 import registry_service_pb2 as pb

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


LONG_VERSION = "2026.11.24-nightly.20261124T0615+build.8812"
LONG_MODEL = "customer-support-ticket-router-multilingual"


def versions() -> list[client.Version]:
    said = {
        "stage": "development",
        "state": pb.VERSION_STATE_QUARANTINED,
        "aliases": ["champion", "the-one-before-the-champion"],
        "file_count": 1234,
        "total_bytes": 1023 * MIB,
        "creator": "service:continuous-integration",
        "manifest_digest": "sha256:" + "a" * 64,
    }
    return [
        convert.version_from_wire(pb.Version(version=version, ordinal=1234, **said))
        for version in ("1.0.0", LONG_VERSION)
    ]


def models() -> list[client.Model]:
    described = "Routes tickets to the team that can answer them the first time"
    return [
        convert.model_from_wire(
            pb.Model(
                name=f"namespaces/acme/models/{name}",
                kind=pb.MODEL_KIND_PIPELINE,
                owner="the customer support automation team",
                description=described,
                last_ordinal=1234,
            )
        )
        for name in ("v", LONG_MODEL)
    ]


@pytest.mark.parametrize("columns", [24, 40, 60, 80, 90, 100, 110])
@pytest.mark.parametrize("listed", ["versions", "models"])
def test_what_ls_lists_fits_and_no_name_is_cut(
    monkeypatch: pytest.MonkeyPatch, columns: int, listed: str
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    size = os.terminal_size((columns, 20))
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: size)
    drawn = tables.versions(versions()) if listed == "versions" else tables.models(models())
    shown = io.StringIO()
    rich_console.Console(file=shown, width=columns, color_system=None).print(drawn)
    lines = shown.getvalue().splitlines()
    assert max(map(len, lines)) <= columns
    assert "…" not in shown.getvalue()
    name = LONG_VERSION if listed == "versions" else f"acme/{LONG_MODEL}"
    firsts = [line.split(" ")[0] for line in lines]
    assert name in "".join(firsts)  # folded, if there is no other way
    assert (name in firsts) == (columns >= len(name))


@pytest.mark.parametrize("state", ["READY", "QUARANTINED"])
def test_each_warning_is_told_once(state: str) -> None:
    told = ["a.pkl is a pickle that imports things", "b.pkl is a pickle that imports nothing"]
    wire = pb.Version(
        name="namespaces/acme/models/voice/versions/1.0.0",
        state=pb.VersionState.Value(f"VERSION_STATE_{state}"),
        warnings=[pb.VersionWarning(description=one) for one in told],
        quarantine_reason="; ".join(told) if state == "QUARANTINED" else "",
    )
    shown = io.StringIO()
    console = rich_console.Console(file=shown, width=400, color_system=None)
    console.print(drawing.version(convert.version_from_wire(wire), []))
    assert [shown.getvalue().count(one) for one in told] == [1, 1]
