"""Sources that are kept ready between runs."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from worker.connectors import connector
from worker.connectors.bound import Kept
from worker.connectors.contract import Response, Window
from worker.connectors.registry import Registry
from worker.errors import InvalidInput
from worker.parsing.given import Rows


def test_the_same_settings_are_bound_once() -> None:
    demo = Registry.load().get("demo")
    first = demo.bind({"base_url": "http://127.0.0.1:1"})
    assert demo.bind({"base_url": "http://127.0.0.1:1"}) is first


def test_a_description_of_many_streams_is_not_looked_into_for_each_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rest, rows = Registry.load().get("rest"), Rows()
    described = {"streams": {f"s{n}": {"path": f"/{n}", "records": "", "key": "id"} for n in range(3)}}
    text = json.dumps({"base_url": "https://erp.example.com", "describe": described})
    first = rest.bind(rows.read(1, text))
    monkeypatch.setattr(connector, "digest", lambda _described: pytest.fail("looked into"))
    assert rest.bind(rows.read(1, text)) is first


def test_a_connection_whose_settings_changed_gets_a_source_of_its_own() -> None:
    demo = Registry.load().get("demo")
    before = demo.bind({"base_url": "http://127.0.0.1:1"})
    after = demo.bind({"base_url": "http://127.0.0.1:2"})
    assert (before.base_url, after.base_url) == ("http://127.0.0.1:1", "http://127.0.0.1:2")
    assert demo.bind({"base_url": "http://127.0.0.1:1"}) is before


@pytest.mark.parametrize("alike", [b"7", 7, 7.0, True, float("nan")])
def test_settings_that_only_look_alike_are_told_apart(alike: Any) -> None:
    demo = Registry.load().get("demo")
    demo.bind({"base_url": "http://127.0.0.1:7"})
    with pytest.raises(InvalidInput):
        demo.bind({"base_url": alike})


def test_a_registry_that_is_read_anew_binds_anew(tmp_path: Path) -> None:
    folder = tmp_path / "ours"
    folder.mkdir()
    manifest = (
        "manifest: 1\nsystem: ours\ntitle: Ours\nprotocol: rest\nbase_url: {}\n"
        "streams:\n  parts: {{path: /parts, records: '', key: id}}\n"
    )
    (folder / "manifest.yaml").write_text(manifest.format("https://before.example.com"))
    before = Registry.load([tmp_path]).get("ours").bind({})
    (folder / "manifest.yaml").write_text(manifest.format("https://after.example.com"))
    after = Registry.load([tmp_path]).get("ours").bind({})
    assert (before.base_url, after.base_url) == ("https://before.example.com", "https://after.example.com")


def test_wrong_settings_are_refused_each_time() -> None:
    demo = Registry.load().get("demo")
    for _ in range(2):
        with pytest.raises(InvalidInput):
            demo.bind({"base_url": "http://127.0.0.1:1", "colour": "red"})


def test_what_was_not_used_for_longest_goes_first() -> None:
    bound, made = Kept[Any](most=2), []

    def make(name: str) -> Any:
        def source() -> Any:
            made.append(name)
            return name

        return source

    for name in ("a", "", "a", "c", "a", ""):
        bound.get(name, make(name))
    assert made == ["a", "", "c", ""]
    assert len(bound) == 2


def test_what_weighs_more_leaves_room_for_fewer() -> None:
    bound = Kept[str](most=5, weight=len)
    for name in ("aa", "bbb", "c"):
        bound.get(name, lambda name=name: name)  # type: ignore[misc]
    assert len(bound) == 2
    bound.get("much-too-long", lambda: "much-too-long")
    assert len(bound) == 1


def test_threads_that_bind_at_once_share_one_source() -> None:
    bound, together = Kept[Any](), threading.Barrier(8)

    def bind() -> object:
        def source() -> Any:
            together.wait(5)  # all of them have looked, and found nothing
            return object()

        return bound.get("same", source)

    with ThreadPoolExecutor(8) as pool:
        found = [future.result() for future in [pool.submit(bind) for _ in range(8)]]
    assert len(set(map(id, found))) == 1


def test_connections_of_one_system_share_the_readers_of_its_streams() -> None:
    demo = Registry.load().get("demo")
    one, other = (demo.bind({"base_url": f"http://127.0.0.1:{port}"}).stream("parts") for port in (1, 2))
    answer = Response(200, {}, b'{"data": [{"id": 7}], "next_cursor": null, "total": 1}', "http://127.0.0.1/")
    assert [stream.read(answer, Window(), None).records[0].key for stream in (one, other)] == ["7", "7"]
    assert vars(one)["_reader"] is vars(other)["_reader"]
