"""What an export or an import found and did, counted and compared."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

_SHOWN_CHARS = 200


class Verdict(enum.StrEnum):
    """What became of a version."""

    IMPORTED = "imported"
    THERE = "there already"
    WOULD_IMPORT = "would be imported"
    CONFLICT = "conflict"
    LEFT_OUT = "left out"


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionOutcome:
    """What became of one version; `called` is its name at the source, `ref` may be empty."""

    called: str
    ref: str
    verdict: Verdict
    note: str = ""


@dataclass(frozen=True, slots=True)
class Count:
    """How many of something there are at both ends, and how many are equal."""

    what: str
    source: int
    target: int

    @property
    def is_equal(self) -> bool:
        """Whether nothing is missing."""
        return self.source == self.target


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not the same at both ends."""

    where: str
    what: str
    source: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """How an import ended.

    Attributes:
        origin: where it came from.
        is_dry_run: whether nothing was written, and therefore nothing compared.
        versions: what became of each.
        counts: what the source has, and what of it the registry has now.
        differences: what is not the same; empty if all is.
        notes: what a person should know: what was left out or became something else.
        sent_bytes: what went to the registry.
        missing_bytes: of a dry run: what would have to be sent.
    """

    origin: str
    is_dry_run: bool
    versions: tuple[VersionOutcome, ...]
    counts: tuple[Count, ...] = ()
    differences: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()
    sent_bytes: int = 0
    missing_bytes: int = 0

    @property
    def is_ok(self) -> bool:
        """Whether the registry holds what the source has, or would."""
        conflicts = any(one.verdict is Verdict.CONFLICT for one in self.versions)
        return not (conflicts or self.differences) and all(one.is_equal for one in self.counts)


def together(origin: str, told: Sequence[ImportReport]) -> ImportReport:
    """One report of several models of one source."""
    tally = Tally()
    for one in told:
        for count in one.counts:
            tally.count(count.what, count.source, count.target)
    return ImportReport(
        origin=origin,
        is_dry_run=any(one.is_dry_run for one in told),
        versions=tuple(outcome for one in told for outcome in one.versions),
        counts=tally.counts,
        differences=tuple(found for one in told for found in one.differences),
        notes=tuple(note for one in told for note in one.notes),
        sent_bytes=sum(one.sent_bytes for one in told),
        missing_bytes=sum(one.missing_bytes for one in told),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """How an export ended; `counts` compare the registry with the bundle as it was read back."""

    ref: str
    file: Path
    size_bytes: int
    digest: str
    counts: tuple[Count, ...]
    notes: tuple[str, ...] = ()

    @property
    def is_ok(self) -> bool:
        """Whether the bundle holds what the registry has."""
        return all(one.is_equal for one in self.counts)


@dataclass(slots=True)
class Tally:
    """Counts and differences as they are found."""

    _counts: dict[str, list[int]] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)

    def count(self, what: str, source: int, target: int) -> None:
        """Add to both sides of a count."""
        sums = self._counts.setdefault(what, [0, 0])
        sums[0] += source
        sums[1] += target

    def compare(self, where: str, what: str, source: object, target: object) -> bool:
        """Note a difference unless both are equal; answers whether they are."""
        if source != target:
            self.differences.append(Difference(where, what, _shown(source), _shown(target)))
        return source == target

    @property
    def counts(self) -> tuple[Count, ...]:
        """All counts, in the order in which they were first told."""
        return tuple(Count(what, *sums) for what, sums in self._counts.items())


def _shown(value: object) -> str:
    text = str(value)
    return (
        text if len(text) <= _SHOWN_CHARS else f"{text[: _SHOWN_CHARS - 1]}\N{HORIZONTAL ELLIPSIS}"
    )
