"""How does text that others wrote get into SQL text? Only through these, whole and quoted.

Views have no parameters, so what a system or a person named stands in their text. `standard_conforming_strings` is on, as
by default; whoever carries the text out sets it, to be sure.
"""

from collections.abc import Iterable


def ident(name: str) -> str:
    """A name: of a column, a table, a schema."""
    if not name or "\0" in name:
        raise ValueError("a name needs a character, and no NUL")
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A value."""
    if "\0" in text:
        raise ValueError("text in SQL can't hold a NUL")
    return "'" + text.replace("'", "''") + "'"


def array(texts: Iterable[str]) -> str:
    """A list of values."""
    return f"ARRAY[{', '.join(literal(text) for text in texts)}]::text[]"
