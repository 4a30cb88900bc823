"""How names are read."""

import re

from modelkeep.domain import checks, errors, limits


def groups_of(pattern: re.Pattern[str], text: str, form: str) -> tuple[str, ...]:
    """What the pattern's groups found, or `errors.InvalidArgument` that shows the form."""
    longest = 4 * limits.ID_CHARS + limits.PATH_BYTES
    found = pattern.fullmatch(text) if len(text) <= longest else None
    if found is None:
        shown = checks.shown(text)
        raise errors.invalid(f"{shown} does not match {form}")
    return found.groups()
