"""Use cases of asking who one is and what one may do."""

import dataclasses
import difflib
from collections.abc import Sequence

from modelkeep.authz import caller as callers
from modelkeep.authz import grants, policy
from modelkeep.domain import errors, names
from modelkeep.service import bindings, tokens


@dataclasses.dataclass(frozen=True, slots=True)
class Question:
    """Whether the caller may do these things there; stage and alias as in `policy.require`."""

    actions: Sequence[str]
    resource: names.Resource | None = None
    stage: str = ""
    alias: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Access:
    """The use cases of access."""

    tokens: tokens.Tokens
    bindings: bindings.Bindings

    def test(self, caller: callers.Caller, question: Question) -> list[policy.Action]:
        """Those of the actions that the caller may do, whether or not the resource exists.

        Raises `errors.InvalidArgument` for what is no action.
        """
        place = grants.place_of(question.resource)
        asked = [_action(n, text) for n, text in enumerate(question.actions)]
        return [
            action
            for action in dict.fromkeys(asked)
            if policy.allows(caller, action, place, stage=question.stage, alias=question.alias)
        ]


def _action(number: int, text: str) -> policy.Action:
    try:
        return policy.Action(text)
    except ValueError:
        near = difflib.get_close_matches(text, [action.value for action in policy.Action], cutoff=0)
        raise errors.invalid(
            f"{text[:80]!r} is not an action; did you mean {', '.join(near)}?", f"actions[{number}]"
        ) from None
