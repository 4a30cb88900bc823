"""Statements for one question made into statements for many, each looked up as if alone."""

import re
from collections.abc import Sequence


def for_many(statement: str, types: Sequence[str]) -> str:
    """The statement with arrays for arguments, and `place`: which of them a row answers, from 1.

    OFFSET 0 has each looked up by itself, as the statement is; Postgres would join all of them at
    once.

    Args:
        statement: a SELECT with arguments $1, $2 and so on.
        types: their Postgres types.
    """
    columns = [f"argument_{number}" for number in range(1, len(types) + 1)]
    arrays = ", ".join(f"${number}::{name}[]" for number, name in enumerate(types, 1))
    one = re.sub(r"\$(\d)", r"asked.argument_\1", statement)
    return f"""SELECT asked.place, found.*
FROM unnest({arrays}) WITH ORDINALITY AS asked ({", ".join(columns)}, place)
CROSS JOIN LATERAL ({one} OFFSET 0) found"""
