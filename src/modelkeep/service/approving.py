"""Who approved a transition, and what they may do now."""

from modelkeep.authz import policy
from modelkeep.domain import gate_facts, transitions
from modelkeep.storage import bindings, database
from modelkeep.storage import gates as rows


async def approvers_of(
    connection: database.Connection,
    transition: transitions.Transition | None,
    *,
    hold: bool = False,
) -> tuple[gate_facts.Approver, ...]:
    """Those whose approval of a transition counts, with the roles they have for the move now.

    Roles are asked for again by the principal and the groups that the approver had: whoever has
    lost the role since they approved has approved nothing. Without a transition nobody has.

    Args:
        connection: where.
        transition: which.
        hold: keep roles from being taken away until the end of the transaction.
    """
    given = transitions.approvers(transition.verdicts) if transition else []
    if hold and given:
        await rows.hold_grants(connection, [who for one in given for who in _known_as(one)])
    found = []
    for one in given:
        assert transition is not None  # noqa: S101 - without one nothing was given
        held = await bindings.find_grants(connection, one.approver, frozenset(one.groups))
        roles = policy.roles_for(
            held,
            policy.Action.APPROVE_TRANSITION,
            transition.name.version,
            stage=transition.target,
        )
        found.append(gate_facts.Approver(one.approver, frozenset(roles)))
    return tuple(found)


def _known_as(verdict: transitions.Verdict) -> list[str]:
    """The principal and the groups by which an approver was given something."""
    return [verdict.approver, *verdict.groups]
