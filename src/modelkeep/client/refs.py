"""References for people (`acme/voice@1.2.0`) and the resource names the wire uses."""

import re
from dataclasses import dataclass

from modelkeep.client import errors

_ID = re.compile(r"[a-z0-9]([a-z0-9._-]{0,126}[a-z0-9])?")
_VERSION = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?", re.ASCII
)
_NAME = re.compile(r"namespaces/([^/]+)(?:/models/([^/]+)(?:/versions/([^/]+))?)?")
ID_CHARACTER = re.compile(r"[a-z0-9._-]")
"""What ids are made of; they begin and end with a letter or digit."""
_RESERVED = re.compile(
    r"latest|development|staging|production|archived|v?[0-9]+(\.([0-9]+|x))*([-+].*)?"
)
_ID_RULE = "lower-case letters, digits, '.', '_' and '-', at most 128 characters"


@dataclass(frozen=True, slots=True)
class Ref:
    """A namespace, a model of it, or a version of that, as far as the reference goes.

    `selector` is what stands behind the `@`: a version, a range, an alias, a stage, `latest`,
    `#17` or a manifest digest; empty if there is none.
    """

    namespace: str
    model: str = ""
    selector: str = ""

    def __str__(self) -> str:
        text = f"{self.namespace}/{self.model}" if self.model else self.namespace
        return f"{text}@{self.selector}" if self.selector else text

    @property
    def is_exact(self) -> bool:
        """Whether the selector is one full semantic version."""
        return _VERSION.fullmatch(self.selector) is not None

    @property
    def namespace_name(self) -> str:
        """`namespaces/{namespace}`."""
        return f"namespaces/{self.namespace}"

    @property
    def model_name(self) -> str:
        """`namespaces/{namespace}/models/{model}`."""
        return f"{self.namespace_name}/models/{self.model}"

    @property
    def version_name(self) -> str:
        """`namespaces/{namespace}/models/{model}/versions/{semver}`."""
        return f"{self.model_name}/versions/{self.selector}"


def parse(text: str) -> Ref:
    """Read `acme`, `acme/voice`, `acme/voice@SELECTOR` or a resource name.

    Raises:
        BadReference: it is none of these.
    """
    if named := _NAME.fullmatch(text):
        return _checked(Ref(named[1], named[2] or "", named[3] or ""), text)
    path, at, selector = text.partition("@")
    namespace, slash, model = path.partition("/")
    if (at and not (model and selector)) or (slash and not model):
        raise _bad(text, "write NAMESPACE/MODEL@VERSION")
    return _checked(Ref(namespace, model, selector), text)


def parse_namespace(text: str) -> Ref:
    """Read a reference that stops at a namespace, or raise BadReference."""
    ref = parse(text)
    if ref.model:
        raise _bad(text, "name a namespace only, for example acme")
    return ref


def parse_model(text: str) -> Ref:
    """Read a reference that stops at a model, or raise BadReference."""
    ref = parse(text)
    if not ref.model or ref.selector:
        raise _bad(text, "name a model, for example acme/voice")
    return ref


def parse_version(text: str) -> Ref:
    """Read a reference to one exact version, or raise BadReference."""
    ref = parse(text)
    if not ref.is_exact:
        raise _bad(text, "name one full version, for example acme/voice@1.2.0")
    return ref


def parse_selection(text: str) -> Ref:
    """Read a reference to a model with or without a selector, or raise BadReference."""
    ref = parse(text)
    if not ref.model:
        raise _bad(text, "name a model, for example acme/voice or acme/voice@production")
    return ref


def is_reserved(alias: str) -> bool:
    """Whether the text behind an `@` means a stage or a version, and so cannot be an alias."""
    return _RESERVED.fullmatch(alias) is not None


def is_id(text: str) -> bool:
    """Whether a namespace, model or alias may be called so."""
    return _ID.fullmatch(text) is not None


def from_name(name: str) -> str:
    """The reference for people of a resource name of the server, or the name if it is another."""
    named = _NAME.fullmatch(name)
    return str(Ref(named[1], named[2] or "", named[3] or "")) if named else name


def _checked(ref: Ref, text: str) -> Ref:
    for part in (ref.namespace, *([ref.model] if ref.model else [])):
        if not _ID.fullmatch(part):
            raise _bad(text, f"{part!r} is not an id: {_ID_RULE}")
    return ref


def _bad(text: str, advice: str) -> errors.BadReference:
    return errors.BadReference(
        f"{text[:200]!r} is not such a reference: {advice}.", reason="BAD_REFERENCE"
    )
