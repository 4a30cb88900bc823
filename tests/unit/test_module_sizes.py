"""How long a module may be, so that one can be read at a sitting."""

from pathlib import Path

import modelkeep

_MOST_LINES = 400
_GENERATED = "v1"


def test_no_module_is_longer_than_can_be_read_at_once() -> None:
    package = Path(modelkeep.__file__).parent
    lines = {
        str(path.relative_to(package)): len(path.read_text(encoding="utf-8").splitlines())
        for path in package.rglob("*.py")
        if path.relative_to(package).parts[0] != _GENERATED
    }
    assert lines
    assert not {path: count for path, count in lines.items() if count > _MOST_LINES}
