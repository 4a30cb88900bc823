import math

import pytest

from modelkeep.domain import errors, specs
from modelkeep.service import prompts
from modelkeep.storage import codec

MESSAGE = specs.PromptMessage("system", "Hello {{ name }}, it is {{day}}.")


def fields_of(refused: pytest.ExceptionInfo[errors.InvalidArgument]) -> set[str]:
    return {violation.field for violation in refused.value.violations}


def test_every_violation_of_a_spec_is_named_at_once() -> None:
    with pytest.raises(errors.InvalidArgument) as refused:
        specs.ModelSpec(
            framework="x" * 65,
            task="a\x00b",
            parameters={"": 1, "rate": math.nan, "note": "y" * 5000},
        )
    assert fields_of(refused) == {
        "framework",
        "task",
        "parameters['']",
        "parameters['rate']",
        "parameters['note']",
    }


def test_prompt_variables_must_be_exactly_those_used() -> None:
    specs.PromptSpec("p", "m", (MESSAGE,), ("day", "name"))
    with pytest.raises(errors.InvalidArgument, match="lacks 'day'"):
        specs.PromptSpec("p", "m", (MESSAGE,), ("name",))
    with pytest.raises(errors.InvalidArgument, match="'extra' is used by no message"):
        specs.PromptSpec("p", "m", (MESSAGE,), ("day", "name", "extra"))


@pytest.mark.parametrize(
    "sampling",
    [{"temperature": -0.1}, {"temperature": math.nan}, {"top_p": 1.1}, {"max_tokens": 0},
     {"seed": 2**53}, {"stop": ("",)}, {"stop": ("x",) * 65}],
)  # fmt: skip
def test_sampling_out_of_bounds_is_refused(sampling: dict[str, object]) -> None:
    with pytest.raises(errors.InvalidArgument):
        specs.Sampling(**sampling)  # type: ignore[arg-type]


def test_schemas_must_be_json_objects() -> None:
    specs.PromptTool("t", "", '{"type": "object"}')
    for schema in ("[1]", "{", '"x"', "[" * 10_000):
        with pytest.raises(errors.InvalidArgument, match="JSON object"):
            specs.PromptTool("t", "", schema)


@pytest.mark.parametrize(
    "content",
    [
        specs.Content(),
        specs.Content(specs.ModelSpec()),
        specs.Content(
            specs.ModelSpec(
                parameters={"i": 1, "f": 1.0, "b": True, "s": "1", "big": 2**62, "tiny": 1e-300},
                base=specs.BaseModel(uri="hf:x", relation=specs.BaseRelation.ADAPTER),
                inputs=(specs.TensorSpec("x", "f32", (-1, 3)),),
            ),
            datasets=(specs.DatasetReference("d", "r", role=specs.DatasetRole.TEST),),
            metrics=(specs.Metric("acc", 1.0),),
            source=specs.Source("https://x/y", "abc", "run"),
        ),
        specs.Content(specs.PromptSpec("p", "m", (MESSAGE,), ("day", "name"))),
    ],
)
def test_stored_content_reads_back_with_its_types(content: specs.Content) -> None:
    read = codec.load(specs.Content, codec.dump(content))
    assert read == content
    if isinstance(content.spec, specs.ModelSpec):
        assert isinstance(read.spec, specs.ModelSpec)
        kinds = {name: type(value) for name, value in content.spec.parameters.items()}
        assert {name: type(value) for name, value in read.spec.parameters.items()} == kinds


def test_the_prompt_file_is_canonical_and_says_only_what_is_set() -> None:
    spec = specs.PromptSpec(
        "anthropic", "some-model-1", (MESSAGE,), ("day", "name"), specs.Sampling(temperature=0.0)
    )
    rendered = prompts.render(spec)
    assert rendered.body == (
        b'{"hosted_model":"some-model-1","messages":[{"content":"Hello {{ name }}, it is {{day}}."'
        b',"role":"system"}],"provider":"anthropic","sampling":{"temperature":0},'
        b'"variables":["day","name"]}'
    )
    assert rendered.file.size_bytes == len(rendered.body)
    assert rendered == prompts.render(spec)
