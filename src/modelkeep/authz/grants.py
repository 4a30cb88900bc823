"""What a grant covers: pure rules about places, stages and aliases."""

from dataclasses import dataclass

from modelkeep.authz.caller import ANY, Grant
from modelkeep.domain import names


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is: a model in a namespace, a namespace ('' as model), the registry."""

    namespace: str = ""
    model: str = ""


REGISTRY = Place()


def place_of(resource: names.Resource | None) -> Place:
    """Where a resource is; None is the registry itself."""
    version = getattr(resource, "version", None)
    owner = version if isinstance(version, names.VersionName) else resource
    return Place(getattr(owner, "namespace", ""), getattr(owner, "model", ""))


def reaches(grant: Grant, place: Place, *, from_within: bool) -> bool:
    """Whether a place lies where the grant holds.

    Args:
        grant: what was given.
        place: where something is to be done.
        from_within: whether a grant on one model is enough for what concerns its namespace.
    """
    if grant.namespace not in {ANY, place.namespace}:
        return False
    return grant.model in {ANY, place.model} or (from_within and not place.model)


def concerns(grant: Grant, stage: str, alias: str) -> bool:
    """Whether a grant that is limited to a stage or an alias is about this one; others are."""
    if grant.stage:
        return grant.stage == stage
    return grant.alias in {"", alias}
