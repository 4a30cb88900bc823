"""Files of ours that belong to one user: tokens that were logged in with, and local servers.

Standard library only, because the client reads them and the local tree writes some of them.
"""

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TOKEN_FILE = "admin.token"  # noqa: S105 - the name of a file
"""In the data directory of `modelkeep dev`: the token of the local administrator."""
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Exposed(Exception):
    """A file with secrets can be read by others; the message says which and what to do."""


def credentials_file(environ: Mapping[str, str]) -> Path:
    """Where `modelkeep login` keeps tokens, after the XDG rules."""
    return _directory(environ, "XDG_CONFIG_HOME", ".config") / "credentials.json"


def read_private(path: Path) -> str:
    """The text of a file that nobody else can read; '' if there is none.

    Raises:
        Exposed: others can read it.
    """
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & _OTHERS:
                raise Exposed(
                    f"{path} can be read by others, so its tokens are no secrets any more: revoke "
                    f"them, then `chmod 600 {path}`"
                )
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return ""


def write_private(path: Path, text: str) -> None:
    """Replace a file by one that only its owner can read; all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(path)


def note_local_server(environ: Mapping[str, str], endpoint: str, data: Path) -> Path:
    """Say that a server of this user answers there, from that data directory; the note's file."""
    note = _note(environ, endpoint)
    write_private(note, json.dumps({"endpoint": endpoint, "data": str(data)}))
    return note


def local_token(environ: Mapping[str, str], endpoint: str) -> str:
    """The token of the local administrator of the server there; '' if it is none of this user.

    Raises:
        Exposed: others can read it.
    """
    noted = _object(read_private(_note(environ, endpoint)))
    data = Path(str(noted.get("data", "")))
    # Who holds the data directory says where it answers: a note may be left over.
    holder = _object(_text(data / "lock"))
    if not noted or holder.get("endpoint") != endpoint:
        return ""
    return read_private(data / TOKEN_FILE).strip()


def _note(environ: Mapping[str, str], endpoint: str) -> Path:
    directory = _directory(environ, "XDG_STATE_HOME", ".local/state")
    return directory / "servers" / f"{endpoint.replace(':', '_')}.json"


def _directory(environ: Mapping[str, str], key: str, otherwise: str) -> Path:
    home = environ.get(key, "")
    return (Path(home) if home.startswith("/") else Path.home() / otherwise) / "modelkeep"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
