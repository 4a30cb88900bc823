"""Prompt configurations in YAML."""

import pytest

from modelkeep import client
from modelkeep.client import prompt_file

FULL = """
provider: vllm
model: qwen-x-20260101
messages:
  - {role: system, content: "You sort tickets of {{company}}."}
  - {role: user, content: "{{ ticket }} {{company}}"}
parameters: {temperature: 0, top_p: 0.9, max_tokens: 512, stop: END, seed: 7}
tools:
  - name: look_up
    description: Find a ticket.
    parameters: {type: object, properties: {id: {type: string}}}
response_schema: '{"type": "object"}'
"""


def test_a_full_file_is_read() -> None:
    spec = prompt_file.parse(FULL, "x.yaml")
    assert (spec.provider, spec.hosted_model) == ("vllm", "qwen-x-20260101")
    assert [message.role for message in spec.messages] == ["system", "user"]
    assert spec.variables == ("company", "ticket")
    assert spec.sampling == client.Sampling(
        temperature=0.0, top_p=0.9, max_tokens=512, stop=("END",), seed=7
    )
    schema = '{"properties":{"id":{"type":"string"}},"type":"object"}'
    assert spec.tools == (client.PromptTool("look_up", "Find a ticket.", schema),)
    assert spec.response_schema == '{"type": "object"}'


def test_stated_variables_are_taken_as_they_are() -> None:
    spec = prompt_file.parse(f"{FULL}\nvariables: [ticket, company]", "x.yaml")
    assert spec.variables == ("ticket", "company")


def test_what_is_not_stated_stays_unset() -> None:
    spec = prompt_file.parse("{provider: p, model: m, messages: [{role: user, content: hi}]}", "x")
    assert spec.sampling == client.Sampling()
    assert spec.variables == spec.tools == ()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (FULL.replace("temperature", "temprature"), "'temprature'; did you mean 'temperature'"),
        (FULL.replace("messages:", "mesages:"), "'mesages'; did you mean 'messages'"),
        (FULL.replace("role: user", "rolle: user"), r"messages\[1\] has the unknown key 'rolle'"),
        (FULL.replace("provider: vllm", ""), "lacks the key 'provider'"),
        (FULL.replace("max_tokens: 512", "max_tokens: 5.5"), "max_tokens must be a whole number"),
        (FULL.replace("temperature: 0", "temperature: hot"), "temperature must be a number"),
        (FULL.replace("seed: 7", "seed: true"), "seed must be a whole number"),
        (FULL.replace("model: qwen-x-20260101", "model: 5"), "model must be text"),
        ("[1, 2]", "must have the keys"),
        ("a: [", "not YAML"),
        ("", "must have the keys"),
        ("!!python/object/apply:os.system ['true']", "not YAML"),
    ],
)
def test_a_bad_file_is_refused_naming_the_place(text: str, fault: str) -> None:
    with pytest.raises(client.InvalidRequest, match=fault):
        prompt_file.parse(text, "x.yaml")
