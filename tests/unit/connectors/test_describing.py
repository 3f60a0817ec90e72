"""What a connection describes is checked as a manifest is, laid over it, and read with it."""

from typing import Any

import pytest

from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Window
from worker.connectors.describing import BadDescription
from worker.connectors.registry import Registry
from worker.errors import InvalidInput

REST = Registry.load().get("rest")
assert isinstance(REST, ManifestConnector)
PARTS: dict[str, Any] = {"path": "/parts", "records": "data", "key": "id"}


def described(**own: Any) -> dict[str, Any]:
    return {"base_url": "https://api.example.com/v1", "describe": {"streams": {"parts": PARTS}, **own}}


def mistake(settings: dict[str, Any]) -> BadDescription:
    with pytest.raises(BadDescription) as caught:
        REST.check_settings(settings)
    return caught.value


def test_a_system_that_is_open_has_no_streams_by_itself_and_those_of_each_connection() -> None:
    assert list(REST.stream_names) == []
    source = REST.bind(described())
    assert list(source.stream_names) == ["parts"]
    assert source.stream("parts").request(Window(), None).url == "https://api.example.com/v1/parts"
    assert list(REST.bind({"base_url": "https://api.example.com"}).stream_names) == []


def test_secrets_that_its_auth_names_are_declared_where_it_is_described() -> None:
    own = described(auth={"bearer": {"secret": "token"}}, secrets={"token": {}, "other": {"required": False}})
    assert REST.secrets_of(own) == {"token": True, "other": False}
    assert dict(REST.secret_names) == {}
    found = mistake(described(auth={"bearer": {"secret": "token"}}))
    assert found.path == ("describe", "auth", "bearer", "secret")


def test_a_mistake_is_told_at_its_place_with_the_nearest_name() -> None:
    found = mistake(described(streams={"parts": {**PARTS, "pagging": {}}, "sites": {"path": 7}}))
    assert found.path == ("describe", "streams", "parts", "pagging")
    assert found.place == "settings.describe.streams.parts.pagging"
    assert found.hint == "Did you mean 'paging'?"
    assert [each.path for each in found.others] == [("describe", "streams", "sites", "path")]


@pytest.mark.parametrize(
    ("own", "path"),
    [
        ([], ("describe",)),
        ({"base_url": "https://elsewhere.example.com"}, ("describe", "base_url")),
        ({"streams": {"parts": {"path": "/parts", "records": ""}}}, ("describe", "streams", "parts")),
        ({"streams": {"parts": {**PARTS, "after": ["sites"]}}}, ("describe", "streams", "parts", "after", 0)),
        ({"streams": {"parts": {**PARTS, "path": "/{site}"}}}, ("describe", "streams", "parts", "path")),
        (
            {
                "streams": {
                    "parts": {
                        **PARTS,
                        "conditions": {"param": "q", "join": " and "},
                        "where": [["a", "=", 1]],
                    }
                }
            },
            ("describe", "streams", "parts", "where"),
        ),
        ({"streams": {"parts": {**PARTS, "deleted": ""}}}, ("describe", "streams", "parts", "deleted")),
        ({"streams": {"parts": {**PARTS, "key": ["a.0", "a.id"]}}}, ("describe", "streams", "parts", "key")),
        ({"streams": {"parts": {**PARTS, "total": "0.n"}}}, ("describe", "streams", "parts", "total")),
        ({"defaults": {"total": "data.n"}, "streams": {"parts": PARTS}}, ("describe", "defaults", "total")),
    ],
)
def test_whatever_is_wrong_is_the_connections_mistake(own: Any, path: tuple[Any, ...]) -> None:
    assert mistake({"base_url": "https://api.example.com", "describe": own}).path == path


def test_limits_are_those_of_the_connection_and_its_system_promises_none() -> None:
    source = REST.bind(described(limits={"requests": 7, "per": "1m"}))
    assert next(iter(source.limits.all_rules())).requests == 7
    assert list(REST.limits.all_rules()) == []


def test_connections_that_describe_the_same_share_what_was_read() -> None:
    one = REST.manifest_of(described())
    other = REST.manifest_of({**described(), "base_url": "https://other.example.com"})
    assert one is other
    assert REST.bind(described()) is REST.bind(described())


def test_a_system_that_is_not_open_knows_no_descriptions() -> None:
    demo = Registry.load().get("demo")
    with pytest.raises(InvalidInput) as caught:
        demo.check_settings({"base_url": "http://127.0.0.1:1", "describe": {}})
    assert (caught.value.code, caught.value.place) == ("unknown_key", "settings.describe")
