"""One suite over all connectors that come with Headrace. A new one is done when it passes here.

No sockets: requests are described and answers are made up from what the manifest says of them.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from connectors.asking import as_sent

from scheduler.connectors.check.offline import sample_settings
from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Request, Response, Source, Stream, Window
from worker.connectors.manifest.model import load_manifest
from worker.connectors.registry import Registry
from worker.connectors.registry.places import CATALOG
from worker.errors import HeadraceError, InvalidInput, NeedsOperator, NotFound, Transient

REGISTRY = Registry.load()
SYSTEMS = REGISTRY.systems()
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECRET = "pl4nted-secret"
NONSENSE = [None, [], {}, 1.5, "", "\0", "a\nb", "x" * 5000, "http://u:p@h", "../.."]
NO_PAGES = [b"", b"<html>", b"null", b'{"x":1}', b"\xff", b'{"a":' * 2000]


def connector_of(system: str) -> ManifestConnector:
    connector = REGISTRY.get(system)
    assert isinstance(connector, ManifestConnector)
    return connector


def settings_of(connector: ManifestConnector) -> dict[str, Any]:
    """The least that a connection must say."""
    return sample_settings(connector.manifest)


def source_of(system: str) -> Source:
    connector = connector_of(system)
    return connector.bind(settings_of(connector))


STREAMS = [
    pytest.param(system, name, id=f"{system}.{name}")
    for system in SYSTEMS
    for name in connector_of(system).stream_names
]


def window_of(stream: Stream) -> Window:
    if not stream.traits.incremental:
        return Window()
    return Window(since=NOW - timedelta(days=90)) if stream.traits.timestamps else Window(since=1000)


def answer(request: Request, body: bytes, status: int = 200) -> Response:
    return Response(status, {"content-type": "application/json"}, body, request.url)


def page_of(system: str, name: str, records: list[dict[str, Any]]) -> bytes:
    path = connector_of(system).manifest.streams[name].shape.records
    if "*" not in path:
        return held_at(path, records)
    star = path.index("*")  # the records stand each in an entry of the list
    return held_at(path[:star], [json.loads(held_at(path[star + 1 :], record)) for record in records])


def held_at(path: Sequence[str], value: Any) -> bytes:
    """An answer that holds this there."""
    for part in reversed(path):
        value = [value] if part in {"*", "0"} else {part: value}
    return json.dumps(value, separators=(",", ":")).encode()


def record_of(system: str, name: str, number: int) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for path in connector_of(system).manifest.streams[name].shape.key:
        place = record
        for part in path[:-1]:
            place = place.setdefault(part, {})
        place[path[-1]] = number
    return record


def skip_what_stands_elsewhere(system: str, name: str) -> None:
    """Its records aren't the entries of a list: the conformance suite reads those."""
    described = connector_of(system).manifest.streams[name]
    if described.detail is not None or described.shape.explode is not None:
        pytest.skip("the list of this stream holds keys alone, or the records that hold these")


@pytest.mark.parametrize("system", SYSTEMS)
def test_its_manifest_is_valid_and_its_folder_says_what_was_tried(system: str) -> None:
    folder = CATALOG / system
    assert load_manifest(folder / "manifest.yaml").system == system
    assert len((folder / "README.md").read_text().splitlines()) > 5
    assert not [
        path
        for path in folder.iterdir()
        if path.name not in {"manifest.yaml", "README.md", "hook.py", "recorded"}
    ]


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_least_settings_bind_and_each_of_them_is_missed_by_name(system: str) -> None:
    connector = connector_of(system)
    least = settings_of(connector)
    connector.check_settings(least)
    for name in least:
        with pytest.raises(InvalidInput) as caught:
            connector.check_settings({key: value for key, value in least.items() if key != name})
        assert (caught.value.code, caught.value.place) == ("missing_key", f"settings.{name}")


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_misspelled_setting_is_answered_with_the_right_name(system: str) -> None:
    connector = connector_of(system)
    for name in connector.manifest.settings:
        with pytest.raises(InvalidInput) as caught:
            connector.check_settings({**settings_of(connector), f"{name}x": "y"})
        assert caught.value.code == "unknown_key"
        assert f"'{name}'" in str(caught.value.hint)


@pytest.mark.parametrize("system", SYSTEMS)
def test_any_nonsense_for_a_setting_is_refused_by_name_or_taken(system: str) -> None:
    connector = connector_of(system)
    for name, value in product(connector.manifest.settings, NONSENSE):
        place = f"settings.{name}"
        try:
            connector.bind({**settings_of(connector), name: value})
        except InvalidInput as exc:
            place = str(exc.place)
        assert place in {f"settings.{name}", "settings"}, (name, value)


@pytest.mark.parametrize("system", [name for name in SYSTEMS if connector_of(name).stream_names])
def test_a_stream_that_it_has_not_is_answered_with_the_nearest(system: str) -> None:
    name = connector_of(system).stream_names[0]
    with pytest.raises(NotFound, match=f"Did you mean '{name}'"):
        source_of(system).stream(name + "x")


@pytest.mark.parametrize("system", SYSTEMS)
def test_its_secrets_are_described_and_needed_ones_are_missed_by_name(system: str) -> None:
    connector = connector_of(system)
    for secret in connector.manifest.secrets.values():
        assert secret.description
        assert secret.find
    flow = source_of(system).auth.flow(Request("GET", f"{source_of(system).base_url}/x"), {}, {})
    if any(connector.secret_names.values()):
        with pytest.raises(NeedsOperator) as caught:
            as_sent(next(flow), source_of(system), {})
        assert caught.value.code == "secret_missing"


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_secret_goes_into_headers_or_bodies_and_never_into_a_url(system: str) -> None:
    secrets = dict.fromkeys(connector_of(system).secret_names, SECRET)
    source = source_of(system)
    asked = Request("GET", f"{source.base_url}/x")
    request = as_sent(next(source.auth.flow(asked, secrets, {})), source, secrets)
    assert SECRET not in request.url
    assert SECRET not in str(request.params)


@pytest.mark.parametrize(("system", "name"), STREAMS)
def test_the_first_request_goes_to_the_connections_own_host(system: str, name: str) -> None:
    stream = source_of(system).stream(name)
    assert stream.name == name
    for window in (Window(), window_of(stream)):
        request = stream.request(window, None)
        assert urlsplit(request.url).netloc == urlsplit(source_of(system).base_url).netloc
        assert request.method in {"GET", "POST"}
        assert "{" not in request.url
        assert request.cost >= 1


@pytest.mark.parametrize(("system", "name"), STREAMS)
def test_a_window_asks_for_something_else_than_everything(system: str, name: str) -> None:
    stream = source_of(system).stream(name)
    asked = connector_of(system).manifest.streams[name].incremental
    if stream.traits.incremental and not (asked and asked.descending):
        assert stream.request(window_of(stream), None) != stream.request(Window(), None)
        assert stream.traits.overlap > 0


@pytest.mark.parametrize(("system", "name"), STREAMS)
def test_an_empty_answer_is_an_empty_page_and_the_last(system: str, name: str) -> None:
    stream = source_of(system).stream(name)
    request = stream.request(Window(), None)
    page = stream.read(answer(request, page_of(system, name, [])), Window(), None)
    assert (page.records, page.rejected, page.next) == ([], [], None)


@pytest.mark.parametrize(("system", "name"), STREAMS)
def test_records_have_keys_and_a_bad_one_does_not_stop_them(system: str, name: str) -> None:
    stream = source_of(system).stream(name)
    skip_what_stands_elsewhere(system, name)
    rows = [record_of(system, name, 1), {}, record_of(system, name, 2)]
    page = stream.read(answer(stream.request(Window(), None), page_of(system, name, rows)), Window(), None)
    assert len({record.key for record in page.records}) == 2
    assert all(len(record.digest) == 16 and json.loads(record.raw) in rows for record in page.records)
    assert [bad.code for bad in page.rejected] == ["bad_key"]


@pytest.mark.parametrize(("system", "name"), STREAMS)
def test_one_record_that_is_asked_for_alone_is_the_one_of_the_list(system: str, name: str) -> None:
    stream = source_of(system).stream(name)
    skip_what_stands_elsewhere(system, name)
    row = record_of(system, name, 7)
    listed = page_of(system, name, [row])
    (expected,) = stream.read(answer(stream.request(Window(), None), listed), Window(), None).records
    request = stream.single(expected.key)
    if request is None:
        pytest.skip("records of this stream can't be asked for by their keys")
    single = connector_of(system).manifest.streams[name].single
    body = listed if single is None or single.by is not None else held_at(single.record, row)
    (found,) = stream.read_single(answer(request, body), expected.key).records
    assert (found.key, found.digest) == (expected.key, expected.digest)


@pytest.mark.parametrize(("system", "name"), STREAMS)
def test_an_answer_that_is_no_page_is_told_as_such(system: str, name: str) -> None:
    stream = source_of(system).stream(name)
    request = stream.request(Window(), None)
    # A list of what are no records is a page where the answer is the list itself: each is set aside.
    lists = [b"[[]]"] if connector_of(system).manifest.streams[name].shape.records else []
    for body in [*NO_PAGES, *lists]:
        with pytest.raises(Transient) as caught:
            stream.read(answer(request, body), Window(), None)
        assert caught.value.code == "malformed_page", body


BODIES = [b"", b"<html>x</html>", b'{"error":{"message":"No."}}', b'{"error":["X",["No."]]}', b"\xff"]


STATUSES = [301, 400, 401, 403, 404, 408, 409, 422, 429, 500, 502, 503, 504]


@pytest.mark.parametrize("system", [name for name in SYSTEMS if source_of(name).transport == "http"])
def test_every_refusal_is_a_failure_of_ours(system: str) -> None:
    for status, body in product(STATUSES, BODIES):
        failure = source_of(system).failure(answer(Request("GET", "https://h"), body, status))
        assert isinstance(failure, HeadraceError)
        assert str(status) in failure.message
        assert failure.message.isprintable()


def test_there_are_no_systems_without_a_manifest() -> None:
    folders = {path.name for path in Path(CATALOG).iterdir() if path.is_dir()}
    assert folders == set(SYSTEMS)
