"""The references that people write, in place of the resource names that a server says."""

import re

_ID = r"[0-9A-Za-z](?:[0-9A-Za-z._+-]*[0-9A-Za-z])?"
# Atomic: the beginning of a name of another kind, an upload's for example, is not a name itself.
_NAME = re.compile(rf"(?>namespaces/({_ID})((?:/[A-Za-z]+/{_ID})*))(?![\w/]|:\w)")
_FILE = re.compile(rf"namespaces/({_ID})/models/({_ID})/versions/({_ID})/files/(?=[^\s/])")
_FORMS = {
    (): "{}",
    ("models",): "{}/{}",
    ("models", "versions"): "{}/{}@{}",
    ("models", "aliases"): "{}/{}@{}",
    ("models", "versions", "evaluations"): "{}/{}@{}/{}",
    ("models", "versions", "transitions"): "{}/{}@{}/{}",
    ("models", "deployments"): "{}/{}/{}",
    ("environments",): "{}/{}",
    ("webhooks",): "{}/{}",
    ("webhooks", "deliveries"): "{}/{}/{}",
}
"""How verbs take each kind of resource, by the collections that lead to it in a namespace."""


def shown_in(sentence: str) -> str:
    """A sentence of the server with the references that people write for resource names.

    A file is the two words that `modelkeep cat` takes. Names of which no verb takes a shorter form
    stay as they are.
    """
    return _NAME.sub(_short, _FILE.sub(r"\1/\2@\3 ", sentence))


def _short(found: re.Match[str]) -> str:
    namespace, rest = found.groups()
    words = rest.split("/")[1:]
    form = _FORMS.get(tuple(words[::2]))
    return form.format(namespace, *words[1::2]) if form else found[0]
