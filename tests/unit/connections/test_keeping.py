"""Fields that aren't kept, and versions that are: what the connections file may say, and what it is told where it can't."""

import json
from typing import Any

import pytest

from scheduler.connections.file import DesiredStream, Problems, read_desired
from scheduler.connections.options.table import file_options
from worker.connectors.registry import Registry
from worker.parsing.documents import read_document

REGISTRY = Registry.load()


def streams(*, streams: Any = None, **fields: Any) -> dict[str, DesiredStream]:
    connection = {
        "id": "a",
        "system": "demo",
        "settings": {"base_url": "http://x"},
        "secrets": {"token": "env://TOKEN"},
        "streams": streams or {},
        **fields,
    }
    text = json.dumps({"version": 1, "connections": [connection]}, indent=1)
    desired = read_desired(read_document(text.encode(), "c.yaml"), REGISTRY)
    return {stream.name: stream for stream in desired.connections[0].streams}


def refused(**fields: Any) -> list[tuple[str, str]]:
    with pytest.raises(Problems) as caught:
        streams(**fields)
    return [(problem.code, problem.message) for problem in caught.value.problems]


def test_paths_are_kept_as_names_and_written_back_as_they_were() -> None:
    given = ["email", "requester.phone", ["dotted.name", "x"], "email"]
    options = streams(streams={"work_orders": {"exclude": given}})["work_orders"].options
    assert options == {"exclude": [["email"], ["requester", "phone"], ["dotted.name", "x"]]}
    assert file_options(options) == {"exclude": given[:3]}


def test_a_stream_says_more_than_its_connection() -> None:
    found = streams(keep_versions="90d", streams={"assets": {"keep_versions": "0d"}})
    assert found["work_orders"].options == {"keep_versions": 90 * 86400.0}
    assert found["assets"].options == {"keep_versions": 0.0}
    assert file_options(found["work_orders"].options) == {"keep_versions": "90d"}
    assert file_options(found["assets"].options) == {"keep_versions": "0d"}


@pytest.mark.parametrize("option", ["exclude", "hash"])
def test_the_key_of_a_record_is_left_alone(option: str) -> None:
    ((code, message),) = refused(streams={"work_orders": {option: ["title", "id"]}})
    assert code == "key_not_kept"
    assert message.startswith("'id' can't be")


@pytest.mark.parametrize("path", ["", "a..b", ".a", [], ["a", ""]])
def test_a_path_with_an_empty_name_is_refused(path: Any) -> None:
    assert refused(exclude=[path])


@pytest.mark.parametrize("keep", ["1h", "11000d", "90", 90, "off"])
def test_a_keep_is_days(keep: Any) -> None:
    assert refused(keep_versions=keep)
