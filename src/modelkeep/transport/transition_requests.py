"""Crossings of requests about transitions."""

from functools import partial
from typing import Any

from modelkeep.domain import checks, names, pages, stages, transitions
from modelkeep.service import changes
from modelkeep.service import transitions as use_cases
from modelkeep.transport import convert, convert_transitions, gate_requests, page_tokens
from modelkeep.v1 import lifecycle_service_pb2 as pb


def request_transition(
    request: pb.RequestTransitionRequest,
) -> tuple[changes.Once, names.VersionName, stages.StageMove]:
    """Arguments of `Transitions.request`."""
    with checks.Checks() as found:
        once = found.make("", partial(convert.once_from_wire, "RequestTransition", request))
        parent = found.make("parent", partial(names.VersionName.parse, request.parent))
        move = found.make("", partial(stages.StageMove, request.stage, request.reason))
    return once, parent, move


def verdict(
    method: str, field: str, request: Any, *, needed: bool
) -> tuple[changes.Once, names.TransitionName, str]:
    """A transition and what is said about it, in a field that may be empty unless it is needed."""
    said: str = getattr(request, field)
    with checks.Checks() as found:
        once = found.make("", partial(convert.once_from_wire, method, request))
        name = found.make("name", partial(names.TransitionName.parse, request.name))
        transitions.check_comment(found, field, said, needed=needed)
    return once, name, said


def commit(
    request: pb.CommitTransitionRequest,
) -> tuple[changes.Once, names.TransitionName]:
    """Arguments of `Committing.commit`."""
    with checks.Checks() as found:
        once = found.make("", partial(convert.once_from_wire, "CommitTransition", request))
        name = found.make("name", partial(names.TransitionName.parse, request.name))
    return once, name


def listing(
    tokens: page_tokens.PageTokens, request: pb.ListTransitionsRequest
) -> tuple[use_cases.Parent, transitions.Filter, pages.PageRequest]:
    """Arguments of `Transitions.list`."""
    with checks.Checks() as found:
        parent = found.make("parent", partial(_parent, request.parent))
        found.size("states", request.states, len(transitions.State))
        states = found.make_each(
            "states",
            (
                partial(convert.enum_from_wire, state, convert_transitions.STATES)
                for state in request.states[: len(transitions.State)]
            ),
        )
        wanted = found.make("", partial(transitions.Filter, frozenset(states), request.stage))
        page = found.make("", partial(tokens.read, request))
    return parent, wanted, page


def _parent(text: str) -> use_cases.Parent:
    is_version = "/versions/" in text
    return names.VersionName.parse(text) if is_version else gate_requests.owner(text)
