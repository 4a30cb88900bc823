"""What a namespace thinks of pickles, and what follows for a version that is sealed."""

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from modelkeep.domain import manifests, versions
from modelkeep.domain.formats import facts

NOT_INSPECTED = "NOT_INSPECTED"
_NAMED = 3
_PATHS = 10
_IMPORTS = 5
_SAYS = {
    facts.PickleVerdict.DANGEROUS: "a pickle that imports what is known to be dangerous",
    facts.PickleVerdict.UNKNOWN: "or must be taken for, a pickle that could not be read to its end",
    facts.PickleVerdict.IMPORTS: "a pickle that imports and calls things when it is loaded",
    facts.PickleVerdict.PLAIN: "a pickle that imports nothing",
}


class PicklePolicy(enum.StrEnum):
    """What becomes of a version with pickles: nothing, a warning, or quarantine."""

    ALLOW = "allow"
    WARN = "warn"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What follows: warnings, and why the version is to be set aside, or ''."""

    warnings: tuple[versions.VersionWarning, ...] = ()
    quarantine_reason: str = ""


Found = Mapping[str, facts.PickleFacts]
"""What was found, by digest; files that were not inspected have no entry."""


def judge(policy: PicklePolicy, files: Sequence[manifests.File], found: Found) -> Judgement:
    """What follows from what was found in a version's files."""
    if policy is PicklePolicy.ALLOW:
        return Judgement()
    warnings = tuple(_warnings(files, found))
    if policy is PicklePolicy.WARN or not warnings:
        return Judgement(warnings)
    return Judgement(warnings, "; ".join(warning.description for warning in warnings))


def _warnings(files: Sequence[manifests.File], found: Found) -> Iterable[versions.VersionWarning]:
    for verdict, says in _SAYS.items():
        marked = [f for f in files if f.digest in found and found[f.digest].verdict is verdict]
        if marked:
            imports = _imports(found[file.digest] for file in marked)
            yield _warning(f"PICKLE_{verdict.upper()}", marked, f"{says}{imports}")
    missed = [file for file in files if file.digest not in found]
    if missed:
        yield _warning(NOT_INSPECTED, missed, "not inspected")


def _warning(reason: str, marked: Sequence[manifests.File], says: str) -> versions.VersionWarning:
    paths = [file.path for file in marked]
    named = ", ".join(paths[:_NAMED])
    more = f" and {len(paths) - _NAMED:,} more" if len(paths) > _NAMED else ""
    is_or_are = "is" if len(paths) == 1 else "are each"
    description = f"{named}{more} {is_or_are} {says}"
    return versions.VersionWarning(reason, description, tuple(paths[:_PATHS]), len(paths))


def _imports(marked: Iterable[facts.PickleFacts]) -> str:
    names = dict.fromkeys(name for one in marked for name in one.dangerous or one.imports)
    shown = ", ".join(list(names)[:_IMPORTS])
    more = f" and {len(names) - _IMPORTS:,} more" if len(names) > _IMPORTS else ""
    return f" ({shown}{more})" if names else ""
