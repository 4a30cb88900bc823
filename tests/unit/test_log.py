"""The log: one line for one event, whatever is in it."""

import io
import json
import sys
from collections.abc import Iterator

import pytest
import structlog

from modelkeep import log

EVIL = 'a\nlevel=error event=forged\r\x1b[2J\u009b1m\u202e\u2028"quoted"\x00\ud800'


@pytest.fixture
def _restored() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.mark.usefixtures("_restored")
@pytest.mark.parametrize("style", ["json", "console"])
def test_no_value_makes_a_second_line_or_moves_a_terminal(
    style: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
    monkeypatch.setattr(sys, "stderr", written)
    log.configure("info", style)
    structlog.get_logger().info("rpc", principal=EVIL, client=EVIL, count=1, names=[EVIL])
    line = written.buffer.getvalue().decode()
    assert line.count("\n") == 1
    ours = line.replace("\x1b[0m", "").replace("\x1b[1m", "")
    assert "\x1b[2J" not in ours
    assert not {"\u009b", "\u202e", "\u2028", "\r", "\x00"} & set(ours)
    if style == "json":
        assert json.loads(line)["principal"].startswith("a\\nlevel=error")


@pytest.mark.usefixtures("_restored")
def test_a_traceback_keeps_its_lines_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    log.configure("info", "console")
    try:
        int(EVIL)
    except ValueError:
        structlog.get_logger().exception("broken")
    assert "Traceback" in written.getvalue()
    assert not {"\u009b", "\u202e", "\u2028", "\r", "\x00"} & set(written.getvalue())
