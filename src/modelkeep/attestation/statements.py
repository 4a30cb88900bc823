"""The in-toto statement that a model's signature is over: its files and their SHA-256.

The predicate is `https://model_signing/signature/v1.0` of the OpenSSF's model signing.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from modelkeep.attestation import faults, strict

TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"
_SHA256 = "sha256"
_NAMED = 3
"""So many files are named of those that differ."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What was signed, once it is known to be consistent.

    Attributes:
        name: what the signer called the model, often the name of a folder.
        digests: SHA-256 of each file in hex, by its path.
    """

    name: str
    digests: Mapping[str, str]


def read(payload: bytes) -> Statement:
    """The statement of a payload; raises `faults.Fault`."""
    top = strict.json_object(payload, "statement")
    if top.get("_type") != TYPE:
        raise faults.Fault(f"the statement is not an in-toto statement ({TYPE})")
    if top.get("predicateType") != PREDICATE_TYPE:
        raise faults.Fault(f"the statement is not about a model: its predicateType is not "
                           f"{PREDICATE_TYPE}")  # fmt: skip
    predicate = strict.mapping(top.get("predicate"), "predicate")
    _require_whole_files(strict.mapping(predicate.get("serialization"), "serialization"))
    digests = _digests(strict.entries(predicate.get("resources"), "list of files"))
    name, root = _subject(strict.entries(top.get("subject"), "list of subjects"))
    if root != _root(digests.values()):
        raise faults.Fault("the digest of the subject is not that of the files listed")
    return Statement(name, digests)


def _subject(subjects: list[Any]) -> tuple[str, str]:
    if len(subjects) != 1:
        raise faults.Fault(f"the statement has {len(subjects)} subjects; expected one")
    subject = strict.mapping(subjects[0], "subject")
    digest = strict.mapping(subject.get("digest"), "digest of the subject")
    name = strict.text(subject.get("name", ""), "name of the subject")
    return name, strict.sha256(digest.get(_SHA256), "digest of the subject")


def _require_whole_files(serialization: dict[str, Any]) -> None:
    method, kind = serialization.get("method"), serialization.get("hash_type")
    if method != "files" or kind != _SHA256:
        raise faults.Fault(
            "the files are not listed whole and by SHA-256, as a registry knows them; sign again "
            "with the method files and the hash sha256"
        )


def _digests(resources: list[Any]) -> dict[str, str]:
    digests: dict[str, str] = {}
    for one in resources:
        resource = strict.mapping(one, "file")
        path = strict.text(resource.get("name"), "path of a file")
        if resource.get("algorithm") != _SHA256:
            raise faults.Fault("a file is not listed by SHA-256")
        if path in digests:
            raise faults.Fault("a file is listed twice")
        digests[path] = strict.sha256(resource.get("digest"), "digest of a file")
    if not digests:
        raise faults.Fault("the statement lists no file")
    return digests


def _root(digests: Iterable[str]) -> str:
    """SHA-256 of all digests in the order of their files."""
    return hashlib.sha256(b"".join(map(bytes.fromhex, digests))).hexdigest()


def require_same(statement: Statement, digests: Mapping[str, str], whose: str) -> None:
    """Raise `faults.Fault` unless exactly these files were signed.

    Args:
        statement: what was signed.
        digests: SHA-256 in hex of each file that is there, by its path.
        whose: what has these files, for people.
    """
    found = {
        "not signed": [path for path in digests if path not in statement.digests],
        f"signed and not in {whose}": [path for path in statement.digests if path not in digests],
        "other than what was signed": [
            path for path, digest in digests.items()
            if statement.digests.get(path, digest) != digest
        ],
    }  # fmt: skip
    clauses = [f"{_shown(paths)} {why}" for why, paths in found.items() if paths]
    if clauses:
        raise faults.Fault(f"the signature is not over the files of {whose}: {'; '.join(clauses)}")


def _shown(paths: list[str]) -> str:
    named = ", ".join(ascii(path[:80]) for path in sorted(paths)[:_NAMED])
    more = len(paths) - _NAMED
    be = "is" if len(paths) == 1 else "are"
    return f"{named} and {more} more {be}" if more > 0 else f"{named} {be}"


def write(name: str, digests: Mapping[str, str]) -> bytes:
    """The JSON text of a statement about these files, by SHA-256 in hex.

    The files are in the order of `model_signing`, which sorts paths part by part.
    """
    ordered = {path: digests[path] for path in sorted(digests, key=PurePosixPath)}
    statement = {
        "_type": TYPE,
        "subject": [{"name": name, "digest": {_SHA256: _root(ordered.values())}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "serialization": {"method": "files", "hash_type": _SHA256, "allow_symlinks": False},
            "resources": [
                {"name": path, "algorithm": _SHA256, "digest": digest}
                for path, digest in ordered.items()
            ],
        },
    }
    return json.dumps(statement, ensure_ascii=False, separators=(",", ":")).encode()
