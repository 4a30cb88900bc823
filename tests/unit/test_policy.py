"""The table of roles and actions, and what grants cover."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkeep.authz import caller as callers
from modelkeep.authz import grants, policy
from modelkeep.domain import access, errors, names, sight, stages

Action, Role, Grant, Place = policy.Action, access.Role, access.Grant, grants.Place
ACCESS = Path(__file__).parents[2] / "docs" / "access.md"
IDS = st.sampled_from(["acme", "beta", "voice", "x"])
PLACES = st.one_of(st.just(Place()), st.builds(Place, IDS), st.builds(Place, IDS, IDS))
STAGES = st.sampled_from(["", *stages.STAGES])
ALIASES = st.sampled_from(["", "canary", "champion"])


@st.composite
def some_grants(draw: st.DrawFn) -> Grant:
    namespace = draw(st.one_of(st.just(access.ANY), IDS))
    model = draw(st.one_of(st.just(access.ANY), IDS)) if namespace != access.ANY else access.ANY
    role = draw(st.sampled_from(Role))
    stage = alias = ""
    if role in access.LIMITABLE:
        stage = draw(STAGES)
        alias = "" if stage else draw(ALIASES)
    return Grant(role, namespace, model, stage, alias)


MANY = st.lists(some_grants(), max_size=4).map(tuple)
QUESTIONS = st.tuples(st.sampled_from(Action), PLACES, STAGES, ALIASES)


def caller(held: tuple[Grant, ...], scopes: tuple[Grant, ...] = ()) -> callers.Caller:
    return callers.Caller("user:alice", "c", "r", grants=held, scopes=scopes)


def may(who: callers.Caller, question: tuple[Action, Place, str, str]) -> bool:
    action, place, stage, alias = question
    return policy.allows(who, action, place, stage=stage, alias=alias)


def test_every_role_has_a_line_and_the_administrator_has_all() -> None:
    assert policy.ALLOWED.keys() == set(Role)
    assert policy.ALLOWED[Role.ADMIN] == set(Action)
    assert policy.ALLOWED[Role.READER] < policy.ALLOWED[Role.CONTRIBUTOR]
    assert policy.ALLOWED[Role.READER] < policy.ALLOWED[Role.APPROVER]
    assert policy.ALLOWED[Role.READER] < policy.ALLOWED[Role.DEPLOYER]


def test_who_only_reads_changes_nothing() -> None:
    for role in (Role.READER, Role.AUDITOR):
        assert [a for a in policy.ALLOWED[role] if policy.changes_something(a)] == []


@pytest.mark.parametrize(
    ("role", "what"),
    [
        (Role.CONTRIBUTOR, {Action.SET_STAGE, Action.SET_PROTECTED_ALIAS, Action.GRANT_ROLE}),
        (Role.APPROVER, {Action.CREATE_VERSION, Action.WRITE_UPLOAD, Action.GRANT_ROLE}),
        (Role.DEPLOYER, {Action.CREATE_VERSION, Action.RELEASE_VERSION, Action.GRANT_ROLE}),
        (Role.AUDITOR, {Action.READ_BLOB, Action.CREATE_TOKEN}),
    ],
)
def test_duties_are_kept_apart(role: Role, what: set[Action]) -> None:
    assert policy.ALLOWED[role].isdisjoint(what)


def test_the_documented_table_is_the_table() -> None:
    lines = [line for line in ACCESS.read_text().splitlines() if line.startswith("| `")]
    named = {line.split("`")[1]: set(line.split("`")[3::2]) for line in lines if "." in line}
    reading = policy.ALLOWED[Role.READER]
    besides = (Role.CONTRIBUTOR, Role.APPROVER, Role.DEPLOYER)
    others = set(Action).difference(*(policy.ALLOWED[role] for role in (*besides, Role.AUDITOR)))
    wanted = {role: policy.ALLOWED[role] - reading for role in besides}
    wanted |= {role: policy.ALLOWED[role] for role in (Role.READER, Role.AUDITOR)}
    wanted |= {Role.ADMIN: frozenset(others)}
    assert {role: named[role] for role in wanted} == wanted


@given(QUESTIONS)
def test_nothing_is_allowed_that_was_not_granted(question: tuple[Action, Place, str, str]) -> None:
    assert not may(caller(()), question)


@given(MANY, some_grants(), QUESTIONS)
def test_a_further_grant_takes_nothing_away(
    held: tuple[Grant, ...], more: Grant, question: tuple[Action, Place, str, str]
) -> None:
    assert may(caller((*held, more)), question) >= may(caller(held), question)


@given(MANY, MANY, QUESTIONS)
def test_scopes_give_nothing(
    held: tuple[Grant, ...],
    scopes: tuple[Grant, ...],
    question: tuple[Action, Place, str, str],
) -> None:
    limited = may(caller(held, scopes), question)
    assert limited <= may(caller(held), question)
    if scopes:
        assert limited == (may(caller(held), question) and may(caller(scopes), question))


@given(some_grants(), QUESTIONS)
def test_a_grant_holds_where_it_says_and_nowhere_else(
    held: Grant, question: tuple[Action, Place, str, str]
) -> None:
    action, place, _, _ = question
    if not may(caller((held,)), question):
        return
    assert action in policy.ALLOWED[held.role]
    if action is Action.LIST_NAMESPACES:
        return
    assert held.namespace in {access.ANY, place.namespace}
    if action in policy.OF_THE_REGISTRY:
        assert held.namespace == access.ANY
    if held.model != access.ANY:
        assert place.model == held.model or (not place.model and action in policy.FROM_WITHIN)


@given(some_grants(), QUESTIONS)
def test_a_limited_grant_reads_and_does_that_alone(
    held: Grant, question: tuple[Action, Place, str, str]
) -> None:
    action, _, stage, alias = question
    if (held.stage or held.alias) and policy.changes_something(action):
        fits = held.stage == stage if held.stage else held.alias == alias
        assert fits or not may(caller((held,)), question)


@given(MANY, MANY, IDS, IDS)
def test_lists_show_exactly_what_may_be_read(
    held: tuple[Grant, ...], scopes: tuple[Grant, ...], namespace: str, model: str
) -> None:
    who = caller(held, scopes)
    shown = policy.readable_namespaces(who)
    assert policy.knows(who, namespace) == (shown is None or namespace in shown)
    models = policy.readable_models(who, namespace)
    readable = policy.allows(who, Action.READ_MODEL, Place(namespace, model))
    assert readable == (models is None or model in models)


LISTED = st.sampled_from(
    [
        Action.READ_VERSION,
        Action.READ_EVENTS,
        Action.READ_DEPLOYMENT,
        Action.READ_TRANSITION,
        Action.READ_COMPLIANCE,
        Action.READ_LINEAGE,
    ]
)


@given(MANY, MANY, LISTED, IDS, IDS)
def test_a_list_of_a_namespace_covers_exactly_the_models_that_were_given(
    held: tuple[Grant, ...], scopes: tuple[Grant, ...], action: Action, namespace: str, model: str
) -> None:
    who = caller(held, scopes)
    parent = names.NamespaceName(namespace)
    sight.begin()
    only: frozenset[str] | None = frozenset()
    raised: errors.ModelkeepError | None = None
    try:
        only = policy.require_some(who, action, parent)
    except errors.ModelkeepError as error:
        raised = error
    if raised is not None:
        plain = refusal(who, action, parent)
        assert plain is not None
        assert (type(raised), raised.message) == (type(plain), plain.message)
        assert not policy.allows(who, action, Place(namespace, model))
        assert sight.current() == sight.NOTHING
        return
    assert sight.current().namespaces == {namespace}
    assert (only is None) == policy.allows(who, action, Place(namespace))
    allowed = policy.allows(who, action, Place(namespace, model))
    assert allowed == (only is None or model in only)


def test_a_list_of_a_model_takes_a_role_there() -> None:
    model = names.ModelName("acme", "voice")
    one = caller((Grant(Role.READER, "acme", "voice"),))
    assert policy.require_some(one, Action.READ_VERSION, model) is None
    other = caller((Grant(Role.READER, "acme", "x"),))
    with pytest.raises(errors.PermissionDenied):
        policy.require_some(other, Action.READ_VERSION, model)


@given(MANY, QUESTIONS)
def test_what_is_raised_does_not_depend_on_the_resource(
    held: tuple[Grant, ...], question: tuple[Action, Place, str, str]
) -> None:
    action, place, stage, alias = question
    who = caller(held)
    resource = names.ModelName(place.namespace, place.model) if place.model else None
    if resource is None:
        resource = names.NamespaceName(place.namespace) if place.namespace else None
    raised = refusal(who, action, resource, stage=stage, alias=alias)
    knows = bool(place.namespace) and policy.knows(who, place.namespace)
    if isinstance(raised, errors.Hidden):
        assert not knows
        assert raised.message == f"{resource} does not exist"
    elif isinstance(raised, errors.PermissionDenied):
        assert raised.metadata == {"action": action, "resource": str(resource or "")}
        assert knows or not place.namespace or action in policy.OF_THE_REGISTRY
    else:
        assert may(who, question)


def refusal(*question: Any, **limit: str) -> errors.ModelkeepError | None:
    try:
        policy.require(*question, **limit)
    except errors.ModelkeepError as error:
        return error
    return None


def test_every_kind_of_resource_has_its_place() -> None:
    version = "namespaces/acme/models/voice/versions/1.0.0"
    examples = {
        "namespaces/acme": names.NamespaceName,
        "namespaces/acme/models/voice": names.ModelName,
        version: names.VersionName,
        "namespaces/acme/models/voice/aliases/best": names.AliasName,
        f"{version}/files/a/b": names.FileName,
        f"{version}/evaluations/" + "0" * 16: names.EvaluationName,
        "namespaces/acme/blobs/sha256:" + "0" * 64: names.BlobName,
        "namespaces/acme/uploads/" + "0" * 32: names.UploadName,
        "namespaces/acme/webhooks/" + "0" * 16: names.WebhookName,
        "namespaces/acme/webhooks/" + "0" * 16 + "/deliveries/1": names.DeliveryName,
    }
    for text, kind in examples.items():
        model = "voice" if "/models/" in text else ""
        assert grants.place_of(kind.parse(text)) == Place("acme", model), text
    assert grants.place_of(None) == grants.REGISTRY


@pytest.mark.parametrize(
    "wrong",
    [
        {"namespace": "Acme"},
        {"model": "voice"},
        {"namespace": "acme", "model": "a b"},
        {"stage": "prod"},
        {"alias": "A"},
        {"stage": "staging", "alias": "canary"},
        {"role": Role.READER, "stage": "staging"},
        {"role": Role.ADMIN, "alias": "canary"},
    ],
)
def test_what_makes_no_sense_is_no_grant(wrong: dict[str, str]) -> None:
    with pytest.raises(errors.InvalidArgument):
        Grant(**{"role": Role.DEPLOYER, **wrong})  # type: ignore[arg-type]


@given(st.text(max_size=90))
def test_only_a_tokens_text_has_an_id(text: str) -> None:
    found = access.token_id_of(text)
    assert not found or text.startswith(f"mk_{found}_")


def test_a_token_matches_itself_and_nothing_else() -> None:
    secret = access.new_secret()
    assert access.token_id_of(secret.text) == secret.token_id
    assert len(secret.text) == len("mk_") + 16 + 1 + 43
    assert access.matches(secret.text, secret.sha256)
    assert not access.matches(access.new_secret().text, secret.sha256)
    assert not access.matches("", secret.sha256)
    assert secret.text not in repr(secret)


def test_the_time_of_a_comparison_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes by digests of one length, and by the comparison made for that."""
    compared: list[tuple[int, int]] = []

    def noted(left: bytes, right: bytes) -> bool:
        compared.append((len(left), len(right)))
        return left == right

    monkeypatch.setattr(access.hmac, "compare_digest", noted)
    secret = access.new_secret()
    for text in ("", "x", secret.text[:-1], secret.text, secret.text * 1000):
        access.matches(text, secret.sha256)
    assert compared == [(32, 32)] * 5


@pytest.mark.parametrize(
    "principal",
    [
        "",
        "alice",
        "user:",
        "user:a b",
        "user:a\n",
        "role:x",
        "user:é",
        "group:",
        "user:" + "a" * 256,
    ],
)
def test_what_is_no_principal_is_refused(principal: str) -> None:
    with pytest.raises(errors.InvalidArgument):
        access.BindingFields(principal, Grant(Role.READER))


def test_a_group_has_no_token() -> None:
    with pytest.raises(errors.InvalidArgument):
        access.TokenFields("group:ml")
    access.BindingFields("group:ml", Grant(Role.READER))


def test_a_credential_has_a_name_in_the_audit_log() -> None:
    who = dataclasses.replace(caller(()), token_id="0123456789abcdef")
    assert (who.credential, caller(()).credential) == ("token:0123456789abcdef", "")
