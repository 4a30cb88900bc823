"""What is inside files, as people read it."""

import dataclasses

import pytest

from modelkeep import client
from modelkeep.cli import contents, units

PICKLE = client.PickleFacts(
    verdict=client.PickleVerdict.NONE,
    imports=(),
    dangerous_imports=(),
    opcodes={},
    streams=0,
    problem="",
)
FACTS = client.FileFacts(
    format="gguf",
    problem="",
    tensor_count=291,
    parameter_count=8_030_261_248,
    dtypes=("F32", "Q4_K", "Q6_K"),
    architecture="llama",
    quantisation="Q4_K_M",
    opset=None,
    external_tensors=False,
    inputs=(),
    outputs=(),
    metadata={},
    pickle=PICKLE,
)


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1k"),
        (22_713_728, "22.7M"),
        (109_600_000, "110M"),
        (8_030_261_248, "8.03B"),
        (1_800_000_000_000, "1.8T"),
    ],
)
def test_amounts(number: int, shown: str) -> None:
    assert units.amount(number) == shown


def test_a_line_tells_what_is_known() -> None:
    assert contents.summary(None) == ""
    assert contents.summary(FACTS) == (
        "gguf, llama, 291 tensors, 8.03B parameters, F32/Q4_K/Q6_K, quantised: Q4_K_M"
    )
    cut = dataclasses.replace(FACTS, format="onnx", opset=17, problem="it ends too early")
    assert contents.summary(cut).endswith("opset 17, broken: it ends too early")


def test_pickles_are_listed_with_what_they_import() -> None:
    pickle = dataclasses.replace(
        PICKLE,
        verdict=client.PickleVerdict.DANGEROUS,
        imports=("os.system", "torch.FloatStorage"),
        dangerous_imports=("os.system",),
        problem="pickle 1 breaks off",
    )
    files = [
        client.File(path=path, digest="", size_bytes=1, facts=found)
        for path, found in {
            "a": None,
            "b": FACTS,
            "c": dataclasses.replace(FACTS, pickle=pickle),
        }.items()
    ]
    assert contents.pickles(files) == [
        (
            "c",
            "dangerous; dangerous: os.system; imports: torch.FloatStorage; pickle 1 breaks off",
        )
    ]
