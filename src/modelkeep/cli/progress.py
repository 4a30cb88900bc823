"""Progress on standard error: bars on a terminal, few plain lines in a pipe."""

import sys
import time
from typing import Protocol

import click
from rich import console as rich_console
from rich import progress as rich_progress
from rich import table as rich_table

from modelkeep import client
from modelkeep.cli import safe_console, safe_text, units

_LINE_EVERY_S = 10.0
_WORTH_A_LINE_S = 3.0
_DONE_WORDS = {
    "hashing": "hashed",
    "sending": "sent",
    "fetching": "fetched",
    "verifying": "read",
    "copying": "copied",
}
_WAITING = {"sending": "verifying", "copying": "verifying"}
"""What happens to a file whose bytes are all there."""
_PATH_WIDTH = 38


class Display(Protocol):
    """A listener that can be closed; closing it leaves the terminal as it was."""

    @property
    def listener(self) -> client.Progress:
        """What to hand to the SDK."""
        ...

    def close(self) -> None:
        """Stop drawing."""


def display() -> Display:
    """The display that fits standard error."""
    return Bars() if sys.stderr.isatty() else Lines()


class Tally:
    """How far a step is: the sum over its files, those of earlier runs included."""

    def __init__(self, files: int, total_bytes: int) -> None:
        self.files = files
        self.total_bytes = total_bytes
        self.done_bytes = 0
        self.skipped_bytes = 0
        self._began = time.monotonic()
        self._done: dict[str, int] = {}
        self._sizes: dict[str, int] = {}

    @property
    def seconds(self) -> float:
        """Since the step began."""
        return time.monotonic() - self._began

    @property
    def moved_bytes(self) -> int:
        """What this run did."""
        return max(self.done_bytes - self.skipped_bytes, 0)

    def begin(self, path: str, size_bytes: int, done_bytes: int) -> None:
        """A file begins."""
        self.skipped_bytes += done_bytes
        self._sizes[path] = size_bytes
        self.move(path, done_bytes)

    def move(self, path: str, done_bytes: int) -> None:
        """A file is so far."""
        self.done_bytes += done_bytes - self._done.get(path, 0)
        self._done[path] = done_bytes

    def end(self, path: str) -> None:
        """A file is complete."""
        self.move(path, self._sizes[path])


class Lines(client.Progress):
    """A line at the beginning and the end of a step, and one each ten seconds between."""

    def __init__(self) -> None:
        self._tally = Tally(0, 0)
        self._step = client.Step.HASH
        self._next_line_s = _LINE_EVERY_S

    @property
    def listener(self) -> client.Progress:
        """Itself."""
        return self

    def close(self) -> None:
        """Nothing is left to close."""

    def step_began(self, step: client.Step, files: int, total_bytes: int) -> None:
        """Write the step's first line, if there is anything to do."""
        self._tally = Tally(files, total_bytes)
        self._step = step
        self._next_line_s = _LINE_EVERY_S
        if files:
            _say(f"{step} {units.count(files, 'file')}, {units.size(total_bytes)}")

    def file_began(self, path: str, size_bytes: int, done_bytes: int) -> None:
        """Count it."""
        self._tally.begin(path, size_bytes, done_bytes)
        if 0 < done_bytes < size_bytes:
            self.noted(_going_on(path, size_bytes, done_bytes))

    def file_moved(self, path: str, done_bytes: int) -> None:
        """Count it, and write a line if the last one is long ago."""
        self._tally.move(path, done_bytes)
        if self._tally.seconds >= self._next_line_s:
            self._next_line_s += _LINE_EVERY_S
            _say(self._midway())

    def file_ended(self, path: str) -> None:
        """Count it."""
        self._tally.end(path)

    def step_ended(self, step: client.Step) -> None:
        """Write the step's last line, if it took long enough to be worth one."""
        tally = self._tally
        if tally.files and tally.seconds >= _WORTH_A_LINE_S:
            speed = units.rate(tally.moved_bytes, tally.seconds)
            _say(f"{_DONE_WORDS[step]} in {units.span(tally.seconds)}, {speed}")

    def noted(self, text: str) -> None:
        """Write it."""
        _say(text)

    def _midway(self) -> str:
        tally = self._tally
        done, total = tally.done_bytes, max(tally.total_bytes, 1)
        speed = max(tally.moved_bytes, 1) / max(tally.seconds, 0.001)
        left = units.remaining(max(total - done, 0) / speed)
        return (
            f"{self._step} {100 * done // total} % of {units.size(total)},"
            f" {units.rate(speed, 1)}, {left}"
        )


class Bars(client.Progress):
    """A bar for the whole step, and one for each file at work."""

    def __init__(self, console: rich_console.Console | None = None) -> None:
        self._console = console or safe_console.Console(stderr=True, highlight=False)
        self._bars = rich_progress.Progress(
            rich_progress.TextColumn("{task.description}", table_column=_path_column()),
            rich_progress.BarColumn(bar_width=24),
            rich_progress.TextColumn("{task.percentage:>3.0f} %"),
            rich_progress.TextColumn("{task.fields[amount]:>23}"),
            rich_progress.TextColumn("{task.fields[speed]:>12}"),
            rich_progress.TextColumn("{task.fields[left]:>12}", style="dim"),
            console=self._console,
            transient=True,
            refresh_per_second=8,
        )
        self._tally = Tally(0, 0)
        self._step = client.Step.HASH
        self._whole: rich_progress.TaskID | None = None
        self._rows: dict[str, rich_progress.TaskID] = {}

    @property
    def listener(self) -> client.Progress:
        """Itself."""
        return self

    def close(self) -> None:
        """Take the bars off the terminal."""
        self._bars.stop()

    def step_began(self, step: client.Step, files: int, total_bytes: int) -> None:
        """Show the step's bar, if there is anything to do."""
        self._tally = Tally(files, total_bytes)
        self._step = step
        if files:
            self._bars.start()
            label = f"[bold]{step}[/] {units.count(files, 'file')}"
            self._whole = self._add(label, total_bytes, 0)

    def file_began(self, path: str, size_bytes: int, done_bytes: int) -> None:
        """Show the file's bar."""
        self._tally.begin(path, size_bytes, done_bytes)
        if 0 < done_bytes < size_bytes:
            self.noted(_going_on(path, size_bytes, done_bytes))
        if path not in self._rows:
            self._rows[path] = self._add(f"  {_shortened(path)}", size_bytes, done_bytes)

    def file_moved(self, path: str, done_bytes: int) -> None:
        """Move the file's bar and the step's."""
        self._tally.move(path, done_bytes)
        self._move(self._rows.get(path), done_bytes)
        self._move(self._whole, self._tally.done_bytes)

    def file_ended(self, path: str) -> None:
        """Take the file's bar away."""
        self._tally.end(path)
        self._move(self._whole, self._tally.done_bytes)
        if (row := self._rows.pop(path, None)) is not None:
            self._bars.remove_task(row)

    def step_ended(self, step: client.Step) -> None:
        """Take the step's bar away and leave one line."""
        if self._whole is None:
            return
        self._bars.remove_task(self._whole)
        self._whole = None
        tally = self._tally
        moved = units.rate(tally.moved_bytes, tally.seconds)
        self._bars.console.print(
            f"[green]\N{CHECK MARK}[/] {_DONE_WORDS[step]} {units.count(tally.files, 'file')},"
            f" {units.size(tally.total_bytes)} in {units.span(tally.seconds)} [dim]({moved})[/]"
        )

    def noted(self, text: str) -> None:
        """Write it above the bars."""
        self._bars.console.print(text, style="yellow", markup=False)

    def _add(self, label: str, size_bytes: int, done_bytes: int) -> rich_progress.TaskID:
        return self._bars.add_task(
            label,
            total=max(size_bytes, 1),
            completed=done_bytes,
            amount=_amount(done_bytes, size_bytes),
            speed="",
            left="",
        )

    def _move(self, row: rich_progress.TaskID | None, done_bytes: int) -> None:
        if row is None:
            return
        task = self._bars.tasks[self._bars.task_ids.index(row)]
        is_whole = done_bytes >= (task.total or 0)
        self._bars.update(
            row,
            completed=done_bytes,
            amount=_amount(done_bytes, int(task.total or 0)),
            speed=units.rate(task.speed, 1) if task.speed else "",
            left=_WAITING.get(self._step, "") if is_whole else units.remaining(task.time_remaining),
        )


def _path_column() -> rich_table.Column:
    return rich_table.Column(no_wrap=True, min_width=24, max_width=_PATH_WIDTH + 2)


def _amount(done_bytes: int, size_bytes: int) -> str:
    return f"{units.size(done_bytes)} / {units.size(size_bytes)}"


def _shortened(path: str) -> str:
    # Escaped, because rich would read "[...]" in a file's name as its markup.
    if len(path) > _PATH_WIDTH:
        path = f"\N{HORIZONTAL ELLIPSIS}{path[1 - _PATH_WIDTH :]}"
    return path.replace("[", "\\[")


def _going_on(path: str, size_bytes: int, done_bytes: int) -> str:
    return f"going on with {path} at {units.size(done_bytes)} of {units.size(size_bytes)}"


def _say(text: str) -> None:
    click.echo(safe_text.printable(text), err=True)
