"""Follows one pickle: its opcodes, the stack and the memo, as `pickletools` describes them."""

import collections
import pickletools
import re
from dataclasses import dataclass, field

from modelkeep.domain.formats import numbers, pickle_imports, source

MAX_OPCODES = 200_000
"""Most opcodes followed in one file."""
MAX_IMPORTS = 1000
"""Most different imports followed in one file."""
_KEPT_BYTES = 512
_ENOUGH_OPCODES = 100
"""Nothing but a pickle goes on so long without an error."""
_LAST_PROTOCOL = 5
_NAME = re.compile(r"[A-Za-z_][\w.]*")
"""What a text that happens to begin with `c` is not followed by."""

_STRINGS = frozenset({"BINSTRING", "SHORT_BINSTRING", "UNICODE", "STRING"})
_STRINGS |= frozenset({"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"})
_CALLS = frozenset({"REDUCE", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "BUILD"})
_PUTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_GETS = frozenset({"GET", "BINGET", "LONG_BINGET"})
_REGISTERED = frozenset({"EXT1", "EXT2", "EXT4"})
_LENGTH_BYTES = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}


class _Mark:
    """What MARK leaves on the stack."""


_MARK = _Mark()
_Value = str | _Mark | None


@dataclass(frozen=True, slots=True)
class _Effect:
    """What an opcode reads and does to the stack."""

    name: str
    argument: int | None
    lines: int
    to_mark: bool
    pops: int
    pushes: int


def _effect_of(opcode: pickletools.OpcodeInfo) -> _Effect:
    before, to_mark = opcode.stack_before, pickletools.markobject in opcode.stack_before
    return _Effect(
        name=opcode.name,
        argument=opcode.arg.n if opcode.arg else None,
        lines=2 if opcode.name in {"GLOBAL", "INST"} else 1,
        to_mark=to_mark,
        pops=before.index(pickletools.markobject) if to_mark else len(before),
        pushes=len(opcode.stack_after),
    )


_EFFECTS = {ord(opcode.code): _effect_of(opcode) for opcode in pickletools.opcodes}


@dataclass(slots=True)
class Found:
    """What was found so far in a file."""

    opcodes_left: int = MAX_OPCODES
    opcodes: collections.Counter[str] = field(default_factory=collections.Counter)
    imports: dict[str, bool] = field(default_factory=dict)
    """Each import, and whether it is dangerous."""
    streams: int = 0
    problem: str = ""


class Stream:
    """One pickle; `walk` follows it to its STOP."""

    def __init__(self, cursor: source.Cursor, found: Found) -> None:
        self._cursor = cursor
        self._found = found
        self._stack: list[_Value] = []
        self._memo: dict[int, _Value] = {}
        self.opcodes: collections.Counter[str] = collections.Counter()
        self.imports: dict[str, bool] = {}
        self.count = 0
        self.named = False
        self.endangers = False
        self.called = False
        self.unresolved = ""

    @property
    def is_surely_one(self) -> bool:
        """Whether it did something that chance does not make bytes do."""
        is_long = self.count >= _ENOUGH_OPCODES
        return self.called or is_long or self.endangers

    def walk(self) -> None:
        """Follow the opcodes; raises `source.Malformed`, `source.Cut`."""
        stopped = False
        while not stopped:
            if self._found.opcodes_left <= 0:
                raise source.Cut(f"it has more than {MAX_OPCODES:,} opcodes")
            self._found.opcodes_left -= 1
            stopped = self._step()

    def _step(self) -> bool:
        code = self._cursor.take_byte()
        effect = _EFFECTS.get(code)
        if effect is None:
            raise source.Malformed(f"0x{code:02x} is not an opcode")
        argument = self._argument(effect)
        self._apply(effect, argument)
        self.count += 1
        self.opcodes[effect.name] += 1
        return effect.name == "STOP"

    def _argument(self, effect: _Effect) -> bytes | None:
        """The opcode's argument as it is written; None for one that does not matter."""
        size = effect.argument
        if size is None:
            return None
        if size == pickletools.UP_TO_NEWLINE:
            lines = [self._cursor.take_line(_KEPT_BYTES + 1) for _ in range(effect.lines)]
            return b"\n".join(lines)
        if size >= 0:
            return self._cursor.take(size)
        return self._counted(effect, _LENGTH_BYTES[size])

    def _counted(self, effect: _Effect, length_bytes: int) -> bytes | None:
        length = int.from_bytes(self._cursor.take(length_bytes), "little")
        if effect.name in _STRINGS and length <= _KEPT_BYTES:
            return self._cursor.take(length)
        self._cursor.skip(length)
        return None

    def _apply(self, effect: _Effect, argument: bytes | None) -> None:
        name, stack = effect.name, self._stack
        if name in _STRINGS:
            stack.append(_text(name, argument))
        elif name in _PUTS:
            self._memo[_index(name, argument)] = self._top()
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = self._top()
        elif name in _GETS:
            stack.append(self._recall(_index(name, argument)))
        elif name == "MARK":
            stack.append(_MARK)
        elif name == "DUP":
            stack.append(self._top())
        else:
            self._generic(effect, argument or b"")

    def _generic(self, effect: _Effect, argument: bytes) -> None:
        if effect.name == "STACK_GLOBAL":
            self._import_by_names()
        if effect.to_mark:
            self._pop_to_mark()
        if effect.name == "POP" and self._stack[-1:] == [_MARK]:
            self._stack.pop()
        else:
            self._pop(effect.pops)
        self._stack.extend([None] * effect.pushes)
        self._note(effect.name, argument)

    def _note(self, name: str, argument: bytes) -> None:
        """Keep in mind what matters for the verdict."""
        if name in {"GLOBAL", "INST"}:
            module, _, attribute = argument.decode(errors="replace").partition("\n")
            self._import(module, attribute)
        elif name in _REGISTERED:
            self.unresolved = "it imports by a number that the loading program registered"
        elif name == "PROTO" and argument[0] > _LAST_PROTOCOL:
            raise source.Malformed(f"protocol {argument[0]} does not exist")
        self.called |= name in _CALLS and self.named

    def _import_by_names(self) -> None:
        pair = self._stack[-2:]
        if [type(value) for value in pair] == [str, str]:
            self._import(str(pair[0]), str(pair[1]))
        else:
            self.unresolved = "it imports by a name that it makes while it is loaded"

    def _import(self, module: str, name: str) -> None:
        if len(self.imports) + len(self._found.imports) >= MAX_IMPORTS:
            raise source.Cut(f"it imports more than {MAX_IMPORTS:,} different things")
        whole = f"{module}.{name}"
        named = _NAME.fullmatch(whole) is not None
        is_dangerous = pickle_imports.is_dangerous(module, name)
        self.named |= named
        self.endangers |= named and is_dangerous
        self.imports[numbers.clean(whole)] = is_dangerous

    def _top(self) -> str | None:
        if not self._stack or isinstance(self._stack[-1], _Mark):
            raise source.Malformed("an opcode wants a value where there is none")
        return self._stack[-1]

    def _recall(self, index: int) -> _Value:
        if index not in self._memo:
            raise source.Malformed(f"value {index} is wanted before it was kept")
        return self._memo[index]

    def _pop(self, count: int) -> None:
        for _ in range(count):
            self._top()
            self._stack.pop()

    def _pop_to_mark(self) -> None:
        while self._stack:
            if isinstance(self._stack.pop(), _Mark):
                return
        raise source.Malformed("an opcode wants a mark where there is none")


def _text(name: str, argument: bytes | None) -> str | None:
    """The string that an opcode pushes; None if it is long or written with escapes."""
    if argument is None or len(argument) > _KEPT_BYTES:
        return None
    if name in {"STRING", "UNICODE"} and b"\\" in argument:
        return None
    try:
        return (argument.strip()[1:-1] if name == "STRING" else argument).decode()
    except UnicodeDecodeError:
        return None


def _index(name: str, argument: bytes | None) -> int:
    """The memo index of a PUT or GET: decimal text, or binary of 1 or 4 bytes."""
    if name not in {"PUT", "GET"}:
        return int.from_bytes(argument or b"", "little")
    try:
        return int(argument or b"")
    except ValueError:
        raise source.Malformed("an index is not a number") from None
