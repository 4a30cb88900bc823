"""Gate policies as files: read as they are written, refused by key."""

import pytest

from modelkeep.client import errors, gate_records, policy_file

TEXT = """
apply_to: acme/voice
stage: production
inherit: replace
four_eyes: false
displaced: refuse
lifetime_days: 3.5
gates:
  - metric_threshold: {dataset: dialogs@2026-10, metric: score, op: ">=", value: 0, min_samples: 20}
  - signed:
  - frozen_windows:
      time_zone: Europe/Berlin
      windows:
        - {start: 2026-12-20T18:00, end: 2027-01-04T08:00}
        - {days: [fri], begin: 16:00, until: 24:00}
---
apply_to: acme
stage: staging
"""


def round_trip(policy: gate_records.GatePolicy) -> gate_records.GatePolicy:
    return gate_records.policy_from_wire(gate_records.policy_to_wire(policy))


def test_what_is_written_is_read_as_the_same() -> None:
    first, second = policy_file.parse(TEXT, "f")
    assert (first.owner, first.inherit, first.four_eyes, first.displaced) == (
        "acme/voice",
        "replace",
        False,
        "refuse",
    )
    assert first.gates[2]["frozen_windows"]["windows"][1]["begin"] == "16:00"
    assert round_trip(first) == first
    assert round_trip(second) == second
    assert policy_file.parse(policy_file.written([first, second]), "g") == (first, second)


def test_json_is_yaml() -> None:
    text = '{"apply_to": "acme", "stage": "staging", "gates": [{"signed": {}}]}'
    assert policy_file.parse(text, "f")[0].gates == ({"signed": {}},)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("gate: []", "'gate' is not a key of a policy; did you mean 'gates'?"),
        ("stage: production", "apply_to is missing"),
        ("apply_to: a\napply_to: b\nstage: staging", "'apply_to' is there twice"),
        ("apply_to: a\nstage: staging\ngates: [{metric: {}}]", 'no field named "metric"'),
        ("apply_to: a\nstage: staging\ngates: [{approvals: {count: x}}]", "count field"),
        ("apply_to: a\nstage: staging\ngates: [signed]", "gates[0] is not one kind"),
        ("apply_to: a\nstage: staging\nfour_eyes: 3", "four_eyes is 3"),
        ("apply_to: a\nstage: staging\ninherit: both", "inherit is 'both'"),
        ("[]", "a policy is a mapping"),
        ("", "it has no policy"),
        ("{", "it is not YAML"),
        ("x: !!python/object/apply:os.system [ls]", "it is not YAML"),
    ],
)
def test_a_file_that_is_no_policy_is_refused_by_key(text: str, sentence: str) -> None:
    with pytest.raises(errors.InvalidRequest) as refused:
        policy_file.parse(text, "gates.yaml")
    assert refused.value.message.startswith("gates.yaml: ")
    assert sentence in refused.value.message
