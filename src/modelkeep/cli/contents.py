"""What is inside files, in a line for people."""

from collections.abc import Iterable, Sequence

from modelkeep import client
from modelkeep.cli import units

_SHOWN_DTYPES = 4


def summary(found: client.FileFacts | None) -> str:
    """`onnx, 32 tensors, 545k parameters, FLOAT, opset 16`; '' where nobody looked."""
    return ", ".join(part for part in _parts(found) if part) if found else ""


def pickles(files: Sequence[client.File]) -> list[tuple[str, str]]:
    """Each file that has a pickle, and what that would do."""
    return [
        (file.path, _does(file.facts.pickle))
        for file in files
        if file.facts and file.facts.pickle.verdict is not client.PickleVerdict.NONE
    ]


def _parts(found: client.FileFacts) -> Iterable[str]:
    yield "" if found.format == "other" else found.format
    yield found.architecture
    yield units.count(found.tensor_count, "tensor") if found.tensor_count is not None else ""
    if found.parameter_count is not None:
        yield f"{units.amount(found.parameter_count)} parameters"
    more = "..." if len(found.dtypes) > _SHOWN_DTYPES else ""
    yield "/".join(found.dtypes[:_SHOWN_DTYPES]) + more
    yield f"quantised: {found.quantisation}" if found.quantisation else ""
    yield f"opset {found.opset}" if found.opset is not None else ""
    yield "external tensors" if found.external_tensors else ""
    yield f"broken: {found.problem}" if found.problem else ""
    if found.pickle.verdict is not client.PickleVerdict.NONE:
        yield f"pickle: {found.pickle.verdict}"


def _does(pickle: client.PickleFacts) -> str:
    dangerous = set(pickle.dangerous_imports)
    harmless = [name for name in pickle.imports if name not in dangerous]
    lines = [str(pickle.verdict)]
    lines += [f"dangerous: {', '.join(pickle.dangerous_imports)}"] if dangerous else []
    lines += [f"imports: {', '.join(harmless)}"] if harmless else []
    lines += [pickle.problem] if pickle.problem else []
    return "; ".join(lines)
