"""A console on which nothing but our own styles changes colours or moves the cursor."""

import re
from collections.abc import Iterable
from typing import Any

from rich import console as rich_console
from rich import errors, markup, segment, text

from modelkeep.cli import safe_text

_LINK = re.compile(r"(?<!\\)\[(?=[^\]]*=)")
"""Where a tag with a value begins, such as a hyperlink: we use none."""


class Console(rich_console.Console):
    """As rich's, with all text made printable wherever it came from."""

    def render(
        self,
        renderable: rich_console.RenderableType,
        options: rich_console.ConsoleOptions | None = None,
    ) -> Iterable[segment.Segment]:
        """The segments of something, harmless."""
        for one in super().render(renderable, options):
            if one.control or (one.text.isascii() and one.text.isprintable()):
                yield one
            else:
                yield segment.Segment(safe_text.printable(one.text), one.style)

    def render_str(self, text: str, **how: Any) -> text.Text:
        """A sentence with our styles; one whose tags do not match is taken as it is."""
        try:
            return super().render_str(_LINK.sub(r"\\[", text), **how)
        except errors.MarkupError:
            return super().render_str(markup.escape(text), **how)
