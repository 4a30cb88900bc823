"""Gate policies as files: YAML or JSON, one policy a document.

apply_to: acme/ticket-classifier     # a namespace or a model
stage: production                    # or staging
description: what must be so before tickets are sorted by it
inherit: extend                      # or replace; of a model's policy only
four_eyes: true
displaced: archive                   # or stage, or refuse
lifetime_days: 14
gates:
  - metric_threshold: {dataset: tickets@2026-10, metric: f1, op: ">=", value: 0.9}
  - approvals: {count: 2, role: approver}
"""

import difflib
import re
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from modelkeep.client import errors, gate_records

_KEYS = (
    "apply_to",
    "stage",
    "description",
    "inherit",
    "four_eyes",
    "displaced",
    "lifetime_days",
    "gates",
    "etag",
)
_KINDS = {"four_eyes": bool, "lifetime_days": (int, float), "gates": list}
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
_MOST_BYTES = 1024 * 1024


class _Loader(yaml.SafeLoader):
    """Reads dates and times as the text they are, and no key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """The mapping, unless a key is there twice: which of both was meant?"""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = [key for n, key in enumerate(keys) if key in keys[:n]]
        if twice:
            raise yaml.MarkedYAMLError(
                problem=f"{twice[0]!r} is there twice", problem_mark=node.start_mark
            )
        return super().construct_mapping(node, deep)


def _plain_scalar(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Any:
    """A number, unless YAML 1.1 would take a time of day for one: 16:00 is not 960."""
    if _SEXAGESIMAL.fullmatch(node.value):
        return node.value
    is_whole = node.tag.endswith(":int")
    return (loader.construct_yaml_int if is_whole else loader.construct_yaml_float)(node)


_Loader.add_constructor("tag:yaml.org,2002:int", _plain_scalar)
_Loader.add_constructor("tag:yaml.org,2002:float", _plain_scalar)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda _, node: node.value)


def read_policy_file(path: Path | str) -> tuple[gate_records.GatePolicy, ...]:
    """The policies in that file.

    Raises:
        InvalidRequest: it is not one; the message names the key, and the nearest known one.
        OSError: it cannot be read.
    """
    return parse(Path(path).read_bytes(), str(path))


def parse(text: bytes | str, origin: str) -> tuple[gate_records.GatePolicy, ...]:
    """The policies in a text; `origin` names it in errors."""
    if len(text) > _MOST_BYTES:
        raise _bad(origin, "it is larger than 1 MiB")
    try:
        documents = list(yaml.load_all(text, _Loader))
    except (yaml.YAMLError, RecursionError, ValueError) as failure:
        raise _bad(origin, f"it is not YAML: {failure}") from failure
    policies = tuple(_policy(origin, one) for one in documents if one is not None)
    if not policies:
        raise _bad(origin, "it has no policy")
    return policies


def _policy(origin: str, document: object) -> gate_records.GatePolicy:
    if not isinstance(document, Mapping):
        raise _bad(origin, "a policy is a mapping with apply_to, stage and gates")
    _check_keys(origin, document)
    fields = {key: value for key, value in document.items() if value is not None}
    gates = fields.pop("gates", [])
    for n, gate in enumerate(gates):
        if not isinstance(gate, Mapping) or len(gate) != 1:
            raise _bad(origin, f"gates[{n}] is not one kind with its parameters")
    made = tuple({kind: parameters or {} for kind, parameters in gate.items()} for gate in gates)
    policy = gate_records.GatePolicy(owner=fields.pop("apply_to"), gates=made, **fields)
    try:
        gate_records.policy_to_wire(policy)
    except errors.InvalidRequest as failure:
        raise _bad(origin, failure.message) from None
    return policy


def _check_keys(origin: str, document: Mapping[Any, Any]) -> None:
    for key in document:
        if key not in _KEYS:
            near = difflib.get_close_matches(str(key), _KEYS, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(_KEYS)}"
            raise _bad(origin, f"{key!r} is not a key of a policy{hint}")
    for key in ("apply_to", "stage"):
        if not document.get(key):
            raise _bad(origin, f"{key} is missing")
    for key, value in document.items():
        kind: Any = _KINDS.get(key, str)
        if value is not None and not isinstance(value, kind):
            raise _bad(origin, f"{key} is {value!r}, which it cannot be")


def _bad(origin: str, sentence: str) -> errors.InvalidRequest:
    return errors.InvalidRequest(f"{origin}: {sentence}.".replace("..", "."), reason="BAD_POLICY")


def written(policies: Iterable[gate_records.GatePolicy]) -> str:
    """Policies as the text of a file that `parse` reads as the same."""
    documents = [document(one) for one in policies]
    return yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True)


def document(policy: gate_records.GatePolicy) -> dict[str, Any]:
    """A policy as a file has it; what it leaves open is left out."""
    stated: dict[str, Any] = {
        "apply_to": policy.owner,
        "stage": policy.stage,
        "description": policy.description,
        "inherit": policy.inherit,
        "four_eyes": policy.four_eyes,
        "displaced": policy.displaced,
        "lifetime_days": policy.lifetime_days,
    }
    said = {key: value for key, value in stated.items() if value not in {"", None, 0}}
    if policy.four_eyes is False:
        said["four_eyes"] = False
    return {**said, "gates": [dict(one) for one in policy.gates]}
