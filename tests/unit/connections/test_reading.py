"""What does a connections file ask for, and is everything that is wrong with it told, at its line?"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from scheduler.connections.file import Desired, DesiredStream, Problems, read_desired
from scheduler.connections.file.reading import load_schema
from worker.connectors.registry import Registry
from worker.errors import InvalidInput
from worker.parsing.documents import read_document

REGISTRY = Registry.load()
STREAMS = REGISTRY.get("demo").stream_names
HEAD = "version: 1\nconnections:\n"


def read(text: str) -> Desired:
    return read_desired(read_document(text.encode(), "c.yaml"), REGISTRY)


def problems(text: str) -> list[tuple[str, str | None]]:
    """Code and place of each."""
    return [(problem.code, problem.place) for problem in refused(text).problems]


def refused(text: str) -> Problems:
    with pytest.raises(Problems) as caught:
        read(text)
    return caught.value


def entry(**fields: Any) -> str:
    """A file of one connection, its first field on line 3; a field given as None is left out."""
    complete = {
        "id": "a",
        "system": "demo",
        "settings": {"base_url": "http://x"},
        "secrets": {"token": "env://TOKEN"},
        **fields,
    }
    lines = [f"{key}: {json.dumps(value)}" for key, value in complete.items() if value is not None]
    return HEAD + "  - " + "\n    ".join(lines) + "\n"


def stream(desired: Desired, name: str) -> DesiredStream:
    return next(stream for stream in desired.connections[0].streams if stream.name == name)


class TestDefaults:
    def test_a_short_file_means_live_all_streams_and_ninety_days(self) -> None:
        connection = read(entry()).connections[0]
        assert (connection.name, connection.environment, connection.budget) == ("a", "live", None)
        assert [stream.name for stream in connection.streams] == list(STREAMS)
        assert {stream.history_days for stream in connection.streams} == {90}
        assert all(stream.enabled for stream in connection.streams)
        assert connection.history_by_default

    def test_what_is_said_of_a_stream_counts_before_the_connection(self) -> None:
        desired = read(
            entry(
                schedule={"every": "1h"},
                history="30d",
                streams={
                    "parts": {"enabled": False},
                    "sites": {"schedule": {"every": "1m"}, "history": "all"},
                },
            )
        )
        assert stream(desired, "parts") == DesiredStream("parts", {"every": 3600}, 30, enabled=False)
        assert stream(desired, "sites") == DesiredStream("sites", {"every": 60}, None, enabled=True)
        assert stream(desired, "assets") == DesiredStream("assets", {"every": 3600}, 30, enabled=True)
        assert not desired.connections[0].history_by_default

    def test_an_empty_list_is_a_file(self) -> None:
        assert read("version: 1\nconnections: []\n").connections == []

    def test_unquoted_times_and_names_stay_text(self) -> None:
        desired = read(
            HEAD
            + dedent("""\
              - id: a
                name: no
                system: demo
                settings: {base_url: http://x}
                secrets: {token: env://TOKEN}
                schedule: {every: 1d, at: 02:00, timezone: Europe/Berlin}
            """)
        )
        assert desired.connections[0].name == "no"
        assert stream(desired, "parts").schedule["at"] == "02:00"


class TestProblems:
    def test_every_problem_is_told_and_sorted_by_line(self) -> None:
        text = HEAD + dedent("""\
          - id: a
            system: demmo
            secrets: {token: plain}
            history: 0d
          - id: b
            sytem: demo
          - id: c
            system: demo
            settings: {base_ul: "http://x"}
            secrets: {tokn: "env://A"}
            schedule: {every: 10s}
            history: 5x
            streams:
              work_order: {}
              parts: {schedule: {every: 1d, at: "02:00", timezone: Europe/Berln}}
          - id: c
            system: demo
            settings: {base_url: "http://x"}
        """)
        assert problems(text) == [
            ("unknown_system", "c.yaml:4"),
            ("plain_secret", "c.yaml:5"),
            ("bad_history", "c.yaml:6"),
            ("unknown_key", "c.yaml:8"),
            ("unknown_key", "c.yaml:11"),
            ("unknown_secret", "c.yaml:12"),
            ("bad_schedule", "c.yaml:13"),
            ("bad_value", "c.yaml:14"),
            ("unknown_stream", "c.yaml:16"),
            ("unknown_time_zone", "c.yaml:17"),
            ("missing_secret", "c.yaml:18"),
            ("double_id", "c.yaml:18"),
        ]
        words = str(refused(text))
        for meant in ("'demo'", "'system'", "'base_url'", "'token'", "'work_orders'", "'Europe/Berlin'"):
            assert f"Did you mean {meant}?" in words
        assert "nothing was applied" in words

    @pytest.mark.parametrize(
        ("fields", "code", "line"),
        [
            ({"id": None}, "missing_key", 3),
            ({"id": "a b"}, "bad_value", 3),
            ({"id": "4711"}, "bad_value", 3),
            ({"id": 4711}, "bad_value", 3),
            ({"id": "../etc"}, "bad_value", 3),
            ({"id": "a" * 64}, "bad_value", 3),
            ({"name": "17"}, "bad_value", 7),
            ({"name": " x"}, "bad_value", 7),
            ({"name": "two\nlines"}, "bad_value", 7),
            ({"name": ""}, "bad_value", 7),
            ({"environment": "prod"}, "bad_value", 7),
            ({"labels": {"n": 1}}, "bad_value", 7),
            ({"tenant": ""}, "bad_value", 7),
            ({"tenant": "a\x1b[31m"}, "bad_value", 7),
            ({"labels": {"a\nb": "c"}}, "bad_value", 7),
            ({"labels": {"a": "b\nc"}}, "bad_value", 7),
            ({"settings": {"base_url": "http://x/\0"}}, "bad_value", 5),
            ({"budget": "a/b"}, "bad_value", 7),
            ({"settings": None}, "missing_key", 3),
            ({"settings": []}, "bad_value", 5),
            ({"settings": {"base_url": 7}}, "bad_value", 5),
            ({"secrets": None}, "missing_secret", 3),
            ({"secrets": {}}, "missing_secret", 3),
            ({"secrets": {"token": 7}}, "bad_value", 6),
            ({"secrets": {"token": "vaultt://x"}}, "unknown_secret_scheme", 6),
            ({"schedule": {}}, "missing_key", 7),
            ({"schedule": {"every": "15"}}, "bad_value", 7),
            ({"schedule": {"every": "8d"}}, "bad_schedule", 7),
            ({"schedule": {"every": "1h", "at": "02:00"}}, "bad_schedule", 7),
            ({"schedule": {"every": "1h", "timezone": "UTC"}}, "bad_schedule", 7),
            ({"schedule": {"evry": "1h"}}, "unknown_key", 7),
            ({"schedule": "15m"}, "bad_value", 7),
            ({"history": "0d"}, "bad_history", 7),
            ({"history": 90}, "bad_value", 7),
            ({"streams": {"parts": None}}, "bad_value", 7),
            ({"streams": {"parts": {"enabled": "no"}}}, "bad_value", 7),
            ({"streams": {"parts": {"history": "1x"}}}, "bad_value", 7),
            ({"streams": ["parts"]}, "bad_value", 7),
        ],
    )
    def test_a_wrong_field_is_the_one_problem_and_has_its_line(
        self, fields: dict[str, Any], code: str, line: int
    ) -> None:
        assert problems(entry(**fields)) == [(code, f"c.yaml:{line}")]

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("connections: []\n", "missing_key"),
            ("version: 2\nconnections: []\n", "bad_value"),
            ("version: 1\n", "missing_key"),
            ("version: 1\nconnections:\n", "bad_value"),
            ("version: 1\nconnections: [7]\n", "bad_value"),
            ("version: 1\nconnection: []\n", "unknown_key"),
            ("", "bad_value"),
            ("[]", "bad_value"),
        ],
    )
    def test_a_wrong_frame_is_refused(self, text: str, code: str) -> None:
        assert code in [found for found, _ in problems(text)]

    def test_a_name_may_stand_once_in_each_environment(self) -> None:
        one = entry(id="a", name="x").removeprefix(HEAD)
        other = entry(id="b", name="x").removeprefix(HEAD)
        test = entry(id="b", name="x", environment="test").removeprefix(HEAD)
        assert problems(HEAD + one + other) == [("double_name", "c.yaml:12")]
        assert len(read(HEAD + one + test).connections) == 2

    def test_a_name_that_is_anothers_id_by_default_is_a_twin(self) -> None:
        one = entry(id="a").removeprefix(HEAD)
        other = entry(id="b", name="a").removeprefix(HEAD)
        assert [code for code, _ in problems(HEAD + one + other)] == ["double_name"]
        assert [code for code, _ in problems(HEAD + other + one)] == ["double_name"]

    def test_a_whole_copy_is_one_problem(self) -> None:
        one = entry(id="a").removeprefix(HEAD)
        assert [code for code, _ in problems(HEAD + one + one)] == ["double_id"]


class TestSecrets:
    PLANTED = "hunter2-very-secret"

    @pytest.mark.parametrize(
        "fields",
        [
            {"secrets": {"token": PLANTED}},
            {"secrets": {"token": f"{PLANTED}://x"}},
            {"secrets": {"token": [PLANTED]}},
            {"secrets": PLANTED},
            {"secrets": {"token": "env://A", "tokne": PLANTED}},
            {"settings": {"base_url": "http://x", "token": PLANTED}},
            {"settings": {"base_url": "http://x", "api_key": PLANTED}},
            {"settings": {"base_url": "http://x", "clientSecret": PLANTED}},
            {"settings": {"base_url": "http://x", "auth": {"password": PLANTED}}},
            {"settings": {"base_url": f"http://user:{PLANTED}@x"}},
            {"settings": {"base_url": f"http://x/?access_token={PLANTED}"}},
            {"token": PLANTED},
        ],
    )
    def test_a_plain_secret_is_refused_and_not_repeated(self, fields: dict[str, Any]) -> None:
        error = refused(entry(**fields))
        said = f"{error} {error.problems} {[(p.message, p.hint, p.place) for p in error.problems]}"
        assert self.PLANTED not in said

    def test_a_secret_among_the_settings_is_told_where_to_go(self) -> None:
        error = refused(entry(settings={"base_url": "http://x", "token": "env://TOKEN"}))
        assert [problem.code for problem in error.problems] == ["secret_in_settings"]
        assert "under secrets" in str(error)


class TestSchema:
    @pytest.mark.parametrize(
        ("network", "code"),
        [
            ({"ca": "-----BEGIN planted"}, "plain_secret"),
            ({"client_certificate": "env://CERT", "client_key": "planted"}, "plain_secret"),
            ({"client_key": "env://KEY"}, "bad_network"),
            ({"proxy_user": "planted"}, "bad_network"),
            ({"proxy": "http://p:1", "proxy_password": "env://P"}, "bad_network"),
            ({"proxy": "http://p:1", "proxy_user": "me:planted"}, "bad_network"),
            ({"proxy": "http://me:planted@p:1"}, "secret_in_settings"),
            ({"proxy": "socks5://planted:1"}, "bad_proxy"),
            ({"proxy": "planted"}, "bad_proxy"),
            ({"proxy": "http://p/planted"}, "bad_proxy"),
            ({"proxy": "http://p:999999"}, "bad_proxy"),
            ({"proxy": "http://[planted"}, "bad_proxy"),
            ({"proxy": "http://0xa9fea9fe"}, "address_refused"),
            ({"proxy": "http://metadata.google.internal"}, "address_refused"),
            ({"verify": False}, "unknown_key"),
        ],
    )
    def test_a_network_that_can_not_be_meant_is_refused_and_not_repeated(
        self, network: dict[str, Any], code: str
    ) -> None:
        told = refused(entry(network=network))
        assert [problem.code for problem in told.problems] == [code]
        assert "planted" not in f"{told} {[problem.hint for problem in told.problems]}"

    def test_a_network_is_taken_as_it_stands(self) -> None:
        network = {
            "ca": "file:///ca.pem",
            "client_certificate": "env://CERT",
            "client_key": "env://KEY",
            "client_key_password": "env://KEY_PASSWORD",
            "proxy": "https://proxy.example:3128",
            "proxy_user": "me",
            "proxy_password": "env://PROXY_PASSWORD",
            "addresses": "public",
        }
        assert read(entry(network=network)).connections[0].network == network

    def test_the_schema_is_valid_and_says_what_each_field_is_for(self) -> None:
        schema = load_schema()
        Draft202012Validator.check_schema(schema)
        bare = [
            path for path, node in fields_of(schema, ()) if "description" not in node and "$ref" not in node
        ]
        assert bare == []

    def test_the_schema_alone_takes_a_whole_file(self) -> None:
        """Editors have nothing but the schema."""
        document = read_document(
            entry(schedule={"every": "1d", "at": "02:00"}, history="all").encode(), "c.yaml"
        )
        assert list(Draft202012Validator(load_schema()).iter_errors(document.data)) == []


def fields_of(
    schema: Mapping[str, Any], path: Sequence[str]
) -> list[tuple[Sequence[str], Mapping[str, Any]]]:
    found = [((*path, name), node) for name, node in schema.get("properties", {}).items()]
    for name, node in schema.get("$defs", {}).items():
        found += [((*path, name), node), *fields_of(node, (*path, name))]
    return found


scraps = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["demo", "15m", "env://A", "all"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "id",
                    "name",
                    "system",
                    "settings",
                    "secrets",
                    "streams",
                    "schedule",
                    "history",
                    "every",
                    "at",
                    "parts",
                    "token",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(st.lists(scraps, max_size=3))
def test_whatever_stands_in_the_list_ends_in_problems_or_connections(connections: list[Any]) -> None:
    text = json.dumps({"version": 1, "connections": connections})
    try:
        document = read_document(text.encode(), "c.json")
    except InvalidInput:
        return
    found: Sequence[InvalidInput] = ()
    try:
        read_desired(document, REGISTRY)
    except Problems as exc:
        found = exc.problems
    assert all(problem.place and problem.code for problem in found)


class TestDocumentation:
    TEXT = (Path(__file__).parents[3] / "docs" / "connections-file.md").read_text("utf-8")

    def test_the_first_example_is_a_file(self) -> None:
        example = self.TEXT.split("```yaml\n")[1].split("```")[0]
        assert read(example).connections[0].name == "Plant North"

    def test_every_field_of_the_schema_is_described(self) -> None:
        schema = load_schema()
        nodes = [schema, *schema["$defs"].values()]
        fields = {name for node in nodes for name in node.get("properties", {})}
        assert {name for name in fields if f"| `{name}` |" not in self.TEXT} == set()
