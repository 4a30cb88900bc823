"""Verifies an exported audit chain: no server, bounded memory, line by line."""

from collections.abc import Collection, Iterable

from modelkeep.audit_chain import lines, links, walk
from modelkeep.client import audit_records, audit_signatures, errors


def read_checkpoints(raw_lines: Iterable[bytes]) -> list[lines.Signed]:
    """The checkpoints of a file of theirs, or of an export.

    Raises:
        InvalidRequest: a line is none of these.
    """
    found = []
    for number, raw in enumerate(raw_lines, 1):
        try:
            line = lines.read(raw.rstrip(b"\r\n"))
        except lines.Malformed as error:
            raise errors.InvalidRequest(f"Line {number} of the checkpoints {error}.") from error
        if isinstance(line, lines.Signed):
            found.append(line)
    return found


class FileWalk:
    """Takes the lines of an export, one after the other, and says what does not fit.

    Args:
        keys: public keys, 32 bytes each, one of which must have signed each checkpoint; none to
            take a checkpoint's own word for its key.
        kept: checkpoints that were kept elsewhere, to be compared as well.
    """

    def __init__(self, keys: Collection[bytes] = (), kept: Iterable[lines.Signed] = ()) -> None:
        self._keys = frozenset(keys)
        self._kept = {signed.checkpoint.head.sequence: signed for signed in kept}
        self._verifiable = audit_signatures.is_available()
        self._walk = walk.Walk(links.Head(0, links.FIRST_HASH))
        self._fault: walk.Fault | None = None
        self._chain = ""
        self._is_open = False
        self._number = 0
        self._events_before = 0
        self._sealed = 0
        self._checkpoints = 0
        self._covered = 0
        self._key_ids: dict[str, None] = {}

    def take(self, raw: bytes) -> bool:
        """Take the next line, with or without its line break; False once no more are wanted."""
        self._number += 1
        try:
            line = lines.read(raw.rstrip(b"\r\n"))
        except lines.Malformed as error:
            self._blame(walk.FaultKind.CHANGED, self._next, f"line {self._number} {error}")
            return False
        if not self._chain and isinstance(line, lines.Start):
            self._chain = line.namespace
        if not self._chain:
            self._blame(walk.FaultKind.REMOVED, 1, "the file does not begin with a start")
        elif self._chain_of(line) != self._chain:
            what = f"line {self._number} is of another chain"
            self._blame(walk.FaultKind.INSERTED, self._next, what)
        else:
            self._place(line)
        return self._found is None

    def finish(self) -> audit_records.AuditVerdict:
        """No more lines come: the verdict."""
        self._walk.conclude()
        if self._found is None and self._is_open:
            what = f"the file breaks off behind event {self._walk.head.sequence}: it has no end"
            self._blame(walk.FaultKind.TRUNCATED, self._next, what)
        elif self._found is None and not self._chain:
            self._blame(walk.FaultKind.TRUNCATED, 1, "the file is empty")
        beyond = [number for number in self._kept if number > self._walk.head.sequence]
        if self._found is None and beyond:
            self._fault = walk.truncated(self._walk.head, min(beyond))
        return self._verdict()

    @property
    def _found(self) -> walk.Fault | None:
        return self._fault or self._walk.fault

    @property
    def _next(self) -> int:
        return self._walk.head.sequence + 1

    def _chain_of(self, line: lines.Line) -> str:
        return line.checkpoint.namespace if isinstance(line, lines.Signed) else line.namespace

    def _place(self, line: lines.Line) -> None:
        match line:
            case lines.Start():
                self._start(line)
            case _ if not self._is_open:
                what = f"line {self._number} stands behind the end"
                self._blame(walk.FaultKind.INSERTED, self._next, what)
            case lines.Event():
                if self._walk.take(line.link) and self._walk.is_whole:
                    self._compare_kept()
            case lines.Signed():
                self._seal(line)
            case lines.End():
                self._end(line)

    def _start(self, line: lines.Start) -> None:
        is_first = self._number == 1
        known = self._walk.head if not is_first or not line.before.sequence else line.before
        if self._is_open or line.before != known:
            what = f"line {self._number} begins behind event {line.before.sequence}, and does not"
            self._blame(walk.FaultKind.REMOVED, self._next, f"{what} go on where the file was")
            return
        self._events_before += self._walk.events
        self._walk = walk.Walk(line.before)
        self._is_open, self._sealed = True, 0

    def _end(self, line: lines.End) -> None:
        self._is_open = False
        if self._walk.expect_end(line.head) is None and line.checkpoints != self._sealed:
            what = f"there are {self._sealed} checkpoints, and the end tells of {line.checkpoints}"
            self._blame(walk.FaultKind.CHECKPOINT, line.head.sequence, what)

    def _seal(self, signed: lines.Signed) -> None:
        self._sealed += 1
        if not self._walk.is_whole:
            return  # what does not fit is before it
        if signed.checkpoint.head.sequence < self._walk.head.sequence:
            what = f"a checkpoint stands on line {self._number}, where it does not belong"
            self._blame(walk.FaultKind.CHECKPOINT, signed.checkpoint.head.sequence, what)
            return
        self._compare(signed)

    def _compare_kept(self) -> None:
        signed = self._kept.get(self._walk.head.sequence)
        if signed is not None and signed.checkpoint.namespace == self._chain:
            self._compare(signed)

    def _compare(self, signed: lines.Signed) -> None:
        checkpoint = signed.checkpoint
        sequence = checkpoint.head.sequence
        if self._keys and checkpoint.public_key not in self._keys:
            what = f"the checkpoint at {sequence} is of key {checkpoint.key_id}, not of one named"
            self._blame(walk.FaultKind.CHECKPOINT, sequence, what)
        elif self._verifiable and not audit_signatures.holds(signed):
            what = f"the checkpoint at {sequence} is not as it was signed"
            self._blame(walk.FaultKind.CHECKPOINT, sequence, what)
        elif self._walk.expect_checkpoint(checkpoint.head) is None:
            self._checkpoints += 1
            self._covered = sequence
            self._key_ids[checkpoint.key_id] = None

    def _blame(self, kind: walk.FaultKind, sequence: int, description: str) -> None:
        """Note what does not fit, unless something before it did not."""
        self._walk.conclude()
        if self._found is None:
            self._fault = walk.Fault(kind, sequence, description)

    def _verdict(self) -> audit_records.AuditVerdict:
        fault = self._found
        return audit_records.AuditVerdict(
            chain=self._chain,
            fault=None if fault is None else audit_records.AuditFault(
                fault.kind.value, fault.sequence, fault.description
            ),
            events=self._events_before + self._walk.events,
            sequence=self._walk.head.sequence,
            hash=self._walk.head.hash.hex(),
            checkpoints=self._checkpoints,
            checkpoint_sequence=self._covered,
            checkpoints_verifiable=self._verifiable,
            key_ids=tuple(self._key_ids),
        )  # fmt: skip


def verify_lines(
    raw_lines: Iterable[bytes],
    keys: Collection[bytes] = (),
    kept: Iterable[lines.Signed] = (),
) -> audit_records.AuditVerdict:
    """Verify the lines of an export; see `FileWalk` for the arguments."""
    walking = FileWalk(keys, kept)
    for raw in raw_lines:
        if not walking.take(raw):
            break
    return walking.finish()
