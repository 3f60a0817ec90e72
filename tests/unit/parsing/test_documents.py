"""Files that people write, and complaints that lead them to the line."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.errors import InvalidInput
from worker.parsing.documents import MAX_BYTES, load_document, read_document, suggest, validate

SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z]+$", "description": "Lower case letters."},
        "interval": {"type": "string"},
        "mode": {"enum": ["fast", "slow"]},
        "secrets": {"type": "object", "additionalProperties": {"type": "string", "pattern": "^env://"}},
        "size": {"type": "integer", "minimum": 1},
        "either": {"anyOf": [{"type": "string"}, {"type": "object", "required": ["field"]}]},
        "streams": {
            "type": "object",
            "propertyNames": {"pattern": "^[a-z_]+$"},
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "interval": {"type": "string"},
                    "key": {"type": "array", "items": {"type": "string"}},
                },
            },
        },
    },
}


def complaint(text: str, schema: dict[str, Any] | None = None, name: str = "c.yaml") -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        validate(read_document(text.encode(), name), SCHEMA if schema is None else schema)
    return caught.value


def test_a_place_is_the_line_of_the_key() -> None:
    document = read_document(b"name: a\nstreams:\n  sites:\n    key:\n      - id\n      - site\n", "c.yaml")
    assert document.place(["streams", "sites", "key"]) == "c.yaml:4"
    assert document.place(["streams", "sites", "key", 1]) == "c.yaml:6"
    assert document.place(["streams", "sites", "nowhere", "deeper"]) == "c.yaml:3"
    assert document.place([]) == "c.yaml:1"


def test_only_json_words_are_more_than_text() -> None:
    text = b"a: no\nb: 12:30\nc: 2024-01-01\nd: 0123\ne: 1_000\nf: true\ng: ~\nh: 15\ni: 1.5\nj: '15'\n"
    assert read_document(text, "c.yaml").data == {
        "a": "no", "b": "12:30", "c": "2024-01-01", "d": "0123", "e": "1_000", "f": True, "g": None, "h": 15, "i": 1.5,
        "j": "15",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "twice (first on line 1)"),
        ("a: &x 1\nb: *x\n", 1, "aliases"),
        ("a: 1\nb: !!python/object/apply:os.system [id]\n", 2, "Tags"),
        ("a: 1\n---\nb: 2\n", 2, "several documents"),
        ("a: 1\nb: [1\nc: 2\n", 2, "isn't closed"),
        ("a: 1\n\tb: 2\n", 2, "not valid YAML: a tab"),
        ("a: 1\n? [b]\n: 2\n", 2, "plain text"),
        ("a: 1\nb: 1e999\n", 2, "too large"),
        ("a: 1\nb: \x00\n", 2, "character"),
        ("[" * 60, 1, "nest"),
        ("[" * 100_000, 1, "nest"),
    ],
)
def test_dangerous_or_broken_yaml_is_refused_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_document(text.encode(), "c.yaml")
    assert caught.value.code == "bad_yaml"
    assert caught.value.place == f"c.yaml:{line}"
    assert words in str(caught.value)


def test_an_alias_bomb_is_refused_before_it_goes_off() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20)
    )
    with pytest.raises(InvalidInput, match="aliases"):
        read_document(bomb.encode(), "c.yaml")


def test_json_is_read_as_json_with_lines() -> None:
    document = read_document(b'{"a": 1,\n\t"b": ["\\/", "\\ud83d\\ude00", null]}', "c.json")
    assert document.data == {"a": 1, "b": ["/", "😀", None]}
    assert document.place(["b"]) == "c.json:2"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{"a": 1,\n"a": 2}', 2),
        ('{"a": NaN}', 1),
        ('{"a":\n}', 2),
        ("", 1),
        ('{"a": "\\ud800"}', 1),
        ("[" * 100_000, 1),
    ],
)
def test_broken_json_is_refused_with_its_line(text: str, line: int) -> None:
    assert complaint(text, name="c.json").place == f"c.json:{line}"


def test_bytes_that_are_no_text_are_refused_with_their_line() -> None:
    with pytest.raises(InvalidInput, match=r"c\.yaml:2: The file is not UTF-8"):
        read_document(b"a: 1\nb: \xff\n", "c.yaml")


def test_a_file_over_the_size_or_missing_is_refused(tmp_path: Path) -> None:
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * (MAX_BYTES + 1))
    for path, code in ((large, "file_too_large"), (tmp_path / "none.yaml", "unreadable_file")):
        with pytest.raises(InvalidInput) as caught:
            load_document(path)
        assert caught.value.code == code
        assert str(path) in str(caught.value)


def test_an_unknown_key_has_its_own_line_and_the_nearest_name() -> None:
    error = complaint("name: a\nstreams:\n  sites:\n    key: [id]\n    intervall: 5m\n")
    assert (error.code, error.place, error.hint) == ("unknown_key", "c.yaml:5", "Did you mean 'interval'?")
    assert "streams.sites" in error.message


def test_a_misspelled_key_comes_before_the_missing_one_that_it_explains() -> None:
    error = complaint("nmae: a\n")
    assert (error.code, error.hint) == ("unknown_key", "Did you mean 'name'?")


def test_a_missing_key_is_named_with_the_place_around_it() -> None:
    error = complaint("interval: 5m\n")
    assert (error.code, error.place) == ("missing_key", "c.yaml:1")
    assert "'name'" in error.message


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("name: a\ninterval: 5\n", 2, "interval must be text, not 5."),
        ("name: a\nmode: fats\n", 2, "Did you mean 'fast'?"),
        ("name: A1\n", 1, "Lower case letters."),
        ("name: a\nsize: 0\n", 2, "size must be at least 1; 0 was given."),
        ("name: a\nsize: true\n", 2, "size must be a whole number, not true."),
        ("name: a\nstreams:\n  sites:\n    key: [id, 5]\n", 4, "streams.sites.key[1] must be text"),
        ("name: a\nstreams:\n  Sites: {}\n", 3, "'Sites' can't be a name in streams."),
        ("name: a\neither: {x: 1}\n", 2, "The key 'field' is missing in either."),
        ("", 1, "must be a mapping of keys, not empty."),
    ],
)
def test_a_wrong_value_is_told_in_one_sentence(text: str, line: int, words: str) -> None:
    error = complaint(text)
    assert error.place == f"c.yaml:{line}"
    assert words in str(error)


def test_a_value_under_secrets_is_never_shown() -> None:
    assert "hunter2" not in str(complaint("name: a\nsecrets:\n  password: hunter2\n"))


def test_an_unknown_name_far_from_all_gets_the_list() -> None:
    assert suggest("zzz", ["b", "a"]) == "Valid: a, b."


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=20,
)


@given(JSON)
def test_any_json_reads_back_as_it_was(value: Any) -> None:
    assert read_document(json.dumps(value, indent=1).encode(), "c.json").data == value


@given(st.text() | st.from_regex(r"[\[\]{}:,&*!\-\"' \na1]{0,60}", fullmatch=True))
@settings(max_examples=300)
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    content = text.encode("utf-8", "surrogatepass")
    for name in ("c.yaml", "c.json"):
        place: str | None = name
        try:
            validate(read_document(content, name), SCHEMA)
        except InvalidInput as exc:
            place = exc.place
        assert str(place).startswith(name)
