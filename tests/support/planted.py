"""Secrets that the tests of a session make or plant, and the search for them in all that is said.

`watching` notes every secret where it is made. After each test, what it printed and logged is
searched for all of them, and so is what servers of their own processes wrote meanwhile.
"""

import base64
import contextlib
import os
import tempfile
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from modelkeep import config as configuration
from modelkeep.domain import access, signatures
from modelkeep.local import files

SHORTEST = 12
"""Whoever plants a shorter one would find it anywhere."""
_known: dict[str, str] = {}
SERVER_OUTPUT = Path(tempfile.gettempdir()) / f"modelkeep-test-servers-{os.getpid()}.log"
"""Standard error of servers that are processes of their own."""
_read_bytes = 0


def plant(secret: str, what: str) -> str:
    """Note a secret; it must not turn up in anything that is printed or logged from now on."""
    if len(secret) >= SHORTEST:
        _known[secret] = what
        _known[urllib.parse.quote(secret, safe="")] = what
    return secret


def known() -> dict[str, str]:
    """All that were noted, with what each is."""
    return dict(_known)


def found_in(text: str) -> list[str]:
    """What the secrets are that the text has, and what stands before each."""
    return [
        f"{what}, behind {text[max(0, at - 200) : at]!r}"
        for secret, what in _known.items()
        if (at := text.find(secret)) >= 0
    ]


def newly_written() -> str:
    """What servers wrote since this was asked the last time."""
    global _read_bytes  # noqa: PLW0603 - one session, one file
    if not SERVER_OUTPUT.exists():
        return ""
    with SERVER_OUTPUT.open("rb") as written:
        written.seek(_read_bytes)
        new = written.read()
    _read_bytes += len(new)
    return new.decode("utf-8", "replace")


@contextlib.contextmanager
def watching() -> Iterator[None]:
    """Note every secret that is made inside the block: keys, tokens, passwords, signing keys."""
    with contextlib.ExitStack() as stack:
        for module, name, of in (
            (access, "new_secret", lambda made: made.text),
            (signatures, "new_secret", lambda made: made),
            (files, "kept_secret", lambda made: made),
        ):
            noting = _noting(getattr(module, name), f"{module.__name__}.{name}", of)
            stack.enter_context(mock.patch.object(module, name, noting))
        built = configuration.Config.__init__

        def note(self: configuration.Config, **settings: Any) -> None:
            built(self, **settings)
            _plant_settings(self)

        stack.enter_context(mock.patch.object(configuration.Config, "__init__", note))
        yield
    SERVER_OUTPUT.unlink(missing_ok=True)


def _noting(make: Callable[..., Any], what: str, of: Callable[[Any], str]) -> Callable[..., Any]:
    def made(*args: Any, **settings: Any) -> Any:
        result = make(*args, **settings)
        plant(of(result), what)
        return result

    return made


def _plant_settings(config: configuration.Config) -> None:
    plant(urllib.parse.urlsplit(config.database_url).password or "", "the database's password")
    plant(config.s3_secret_key, "the store's secret key")
    for name in ("audit_signing_key", "secret_key"):
        for key in getattr(config, name):
            plant(base64.b64encode(key).decode(), name)
            plant(key.hex(), name)
