"""Package URLs of dependencies, and licences by their SPDX ids (purl-spec, SPDX licence list)."""

import re
from urllib import parse

from modelkeep.domain import specs

# Ecosystems as people write them, and the type that purl-spec has for each.
_TYPES = {
    "pypi": "pypi", "pip": "pypi", "python": "pypi", "conda": "conda", "npm": "npm",
    "cargo": "cargo", "maven": "maven", "golang": "golang", "go": "golang", "gem": "gem",
    "nuget": "nuget", "deb": "deb", "rpm": "rpm", "cran": "cran", "hex": "hex",
    "docker": "docker", "oci": "oci", "huggingface": "huggingface",
}  # fmt: skip
_PYPI = "pypi"
_SPDX = (
    "AFL-3.0", "AGPL-3.0-only", "AGPL-3.0-or-later", "Apache-2.0", "Artistic-2.0", "BSD-2-Clause",
    "BSD-3-Clause", "BSL-1.0", "CC-BY-4.0", "CC-BY-NC-4.0", "CC-BY-NC-ND-4.0", "CC-BY-NC-SA-4.0",
    "CC-BY-ND-4.0", "CC-BY-SA-4.0", "CC0-1.0", "EPL-2.0", "EUPL-1.2", "GPL-2.0-only",
    "GPL-2.0-or-later", "GPL-3.0-only", "GPL-3.0-or-later", "ISC", "LGPL-2.1-only",
    "LGPL-3.0-only", "LGPL-3.0-or-later", "MIT", "MPL-2.0", "ODbL-1.0", "OFL-1.1", "PDDL-1.0",
    "Unlicense", "WTFPL", "Zlib",
)  # fmt: skip
_PATH = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*"
_URI = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*:"
    r"(?://(?:[A-Za-z0-9._~-]+@)?[A-Za-z0-9._~-]+(?::[0-9]{1,5})?(?=[/?#]|$))?"
    rf"(?!//){_PATH}(?:\?{_PATH})?(?:#{_PATH})?"
)
_BY_LOWER_CASE = {name.lower(): name for name in _SPDX}


def url(dependency: specs.Dependency) -> str:
    """The package URL of a dependency; of type `generic` if its ecosystem has none."""
    kind = _TYPES.get(dependency.ecosystem.lower(), "generic")
    name = dependency.name
    if kind == _PYPI:
        name = name.lower().replace("_", "-")
    elif kind == "maven":
        name = name.replace(":", "/")
    path = "/".join(parse.quote(part, safe="") for part in name.split("/") if part)
    version = f"@{parse.quote(dependency.version, safe='')}" if dependency.version else ""
    return f"pkg:{kind}/{path or parse.quote(name, safe='')}{version}"


def spdx_id(licence: str) -> str:
    """The SPDX id of a licence that is common among models, in its own spelling; '' for others."""
    return _BY_LOWER_CASE.get(licence.lower(), "")


def reference(text: str) -> str:
    """What somebody wrote as an address, as RFC 3986 takes it: quoted if it is no URI."""
    if _URI.fullmatch(text):
        return text
    return parse.quote(text, safe="@" if text.startswith("//") else "@/")
