"""Is an exported file read as what was exported?"""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scheduler.connections.file.export import to_yaml
from worker.parsing.documents import read_document

# What a row can hold: no NUL, no half characters.
texts = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12
) | st.sampled_from(
    [
        "no",
        "yes",
        "null",
        "~",
        "",
        "1e5",
        "012",
        "12:30",
        "0x1F",
        "-",
        "a: b",
        "# c",
        "&a",
        "*a",
        "!t",
        "2024-01-01",
        "=",
        "<<",
    ]
)
numbers = st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
rows = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)


@given(rows)
def test_whatever_a_row_holds_comes_back(data: Any) -> None:
    assert read_document(to_yaml({"settings": data}).encode(), "c.yaml").data == {"settings": data}


def test_nothing_is_written_as_an_alias() -> None:
    shared = {"every": "15m"}
    assert "&" not in to_yaml([shared, shared])
