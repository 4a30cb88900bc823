"""Reads pickles without loading them: follows the opcodes, the stack and the memo.

The opcodes and what they do to the stack are those of `pickletools`. Only short strings are kept on
the stack, because `STACK_GLOBAL` imports by them; everything else is "some value". Broken pickles
matter too: a loader runs what comes before the place where they break.
"""

from collections.abc import Mapping

from modelkeep.domain.formats import facts, pickle_stream, source

_TORCH_MAGIC = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
"""The first pickle, after its header, of what `torch.save` wrote before version 1.6."""
_TORCH_STREAMS = 5
_LAST_PROTOCOL = 5
_PROTO = 0x80
_HEAD_BYTES = 16


def scan(content: source.Source, *, start: int = 0, expected: bool = False) -> facts.PickleFacts:
    """What the pickles from `start` on would do; verdict NONE if these bytes are no pickle.

    Args:
        content: what to read.
        start: where the first pickle begins.
        expected: whether a loader will take the bytes for a pickle whatever they look like.
    """
    scanning = _Scan(content, start, expected=expected)
    scanning.run()
    return scanning.facts()


def is_old_torch(head: bytes) -> bool:
    """Whether a file begins as `torch.save` wrote it before version 1.6."""
    return head[2 : 2 + len(_TORCH_MAGIC)] == _TORCH_MAGIC


class _Scan:
    """All pickles of a file, one behind the other."""

    def __init__(self, content: source.Source, start: int, *, expected: bool) -> None:
        self._cursor = source.Cursor(content, start)
        self._old_torch = False
        self._all_expected = expected
        self._confirmed = expected
        self._found = pickle_stream.Found()

    def run(self) -> None:
        """Follow one after another until one fails, or what follows is none."""
        try:
            self._old_torch = is_old_torch(self._cursor.peek(_HEAD_BYTES))
            while not self._cursor.at_end and self._one():
                pass
        except (source.Malformed, source.Cut) as error:
            self._found.problem = self._found.problem or str(error)
            self._confirmed = True

    def facts(self) -> facts.PickleFacts:
        """What was found."""
        found = self._found
        if not self._confirmed:
            return facts.PickleFacts()
        if not found.streams:
            found.problem = found.problem or "there is no pickle where one should be"
        return facts.PickleFacts(
            verdict=_verdict(found),
            imports=_shown(found.imports),
            dangerous=tuple(name for name in _shown(found.imports) if found.imports[name]),
            opcodes=dict(sorted(found.opcodes.items())),
            streams=found.streams,
            problem=found.problem,
        )

    def _one(self) -> bool:
        """Follow the next pickle; False if nothing can follow it."""
        expected = self._is_expected()
        stream = pickle_stream.Stream(self._cursor, self._found)
        try:
            stream.walk()
        except (source.Malformed, source.Cut) as error:
            # Cut: everything was right so far, and nobody knows what follows.
            if expected or stream.is_surely_one or isinstance(error, source.Cut):
                self._absorb(stream, f"pickle {self._found.streams + 1} breaks off: {error}")
                self._confirmed = True
            return False
        self._absorb(stream, stream.unresolved)
        self._confirmed |= expected or stream.named or self._cursor.at_end or stream.is_surely_one
        return True

    def _is_expected(self) -> bool:
        first = self._all_expected and not self._found.streams
        in_torch = self._old_torch and self._found.streams < _TORCH_STREAMS
        return first or in_torch or self._has_header()

    def _has_header(self) -> bool:
        header = self._cursor.peek(2)
        return len(header) == len("PP") and header[0] == _PROTO and header[1] <= _LAST_PROTOCOL

    def _absorb(self, stream: pickle_stream.Stream, problem: str) -> None:
        self._found.streams += 1
        self._found.opcodes += stream.opcodes
        self._found.imports |= stream.imports
        self._found.problem = self._found.problem or problem


def _shown(imports: Mapping[str, bool]) -> tuple[str, ...]:
    """Some of the imports, the dangerous first."""
    return tuple(sorted(imports, key=lambda name: not imports[name])[: facts.SHOWN_IMPORTS])


def _verdict(found: pickle_stream.Found) -> facts.PickleVerdict:
    if any(found.imports.values()):
        return facts.PickleVerdict.DANGEROUS
    if found.problem:
        return facts.PickleVerdict.UNKNOWN
    return facts.PickleVerdict.IMPORTS if found.imports else facts.PickleVerdict.PLAIN
