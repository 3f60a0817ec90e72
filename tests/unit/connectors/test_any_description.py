"""Whatever somebody writes into a description, they are told what is wrong with it, or it can be asked and read."""

import random
import re
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Response, Stream, Window
from worker.connectors.registry import Registry
from worker.errors import HeadraceError
from worker.parsing.documents import load_document

ROOT = Path(__file__).parents[3]
REST = Registry.load().get("rest")
assert isinstance(REST, ManifestConnector)
SECTIONS = {*REST.manifest.open, "secrets"}
JUNK: tuple[Any, ...] = (
    None, True, 0, -1, 10**12, 1.5, "", "x", "{", "{key}", "{value}", "{0}", "{nope}", "id", "a.b.0", "*", "a.*.b", "\u2028",
    "[", "(?P<", "/x/{key}", "1h", "-1h", "2026-13-01", "Mars/Base", [], {}, ["id"], ["id", "id"], [[]], {"a": 1}, {"header": "X"},
    {"none": {}}, "0", "'", "PUT",
)  # fmt: skip


def _seeds() -> Iterator[dict[str, Any]]:
    """What the demo system's manifest and the pages about requests and records say, as far as a connection may say it."""
    found = [load_document(ROOT / "worker/connectors/catalog/demo/manifest.yaml").data]
    for page in (ROOT / "docs" / "connectors" / name for name in ("requests.md", "records.md")):
        found += [
            yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)
        ]
    for data in found:
        if isinstance(data, dict) and data.get("protocol", "rest") == "rest" and "streams" in data:
            yield {name: value for name, value in data.items() if name in SECTIONS}


SEEDS = list(_seeds())


def _places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if at:
        yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, below in inner:
        yield from _places(below, (*at, step))


def _mutated(dice: random.Random) -> Any:
    """One of the seeds, with up to three values that are gone or other ones."""
    found = deepcopy(dice.choice(SEEDS))
    for _ in range(dice.randint(1, 3)):
        if not (places := list(_places(found))):
            break
        *way, last = dice.choice(places)
        here = found
        for step in way:
            here = here[step]
        if dice.random() < 0.2:
            here.pop(last)
        else:
            here[last] = deepcopy(dice.choice(JUNK))
    return found


def _use(stream: Stream) -> None:
    timed = stream.traits.incremental and stream.traits.timestamps and not stream.traits.token
    window = Window(since=datetime(2026, 1, 1, tzinfo=UTC)) if timed else Window()
    for each in (stream, stream.sweep(), stream.tombstones()):
        if each is None:
            continue
        with suppress(HeadraceError):
            each.request(window, None)
        for body in (b"[]", b"{}"):
            with suppress(HeadraceError):
                each.read(Response(200, {}, body, "https://api.example.com"), window, None)


@pytest.mark.parametrize("seed", range(8))
def test_it_is_refused_in_words_or_can_be_used(seed: int) -> None:
    dice, used = random.Random(seed), 0
    for _ in range(80):
        describe = _mutated(dice)
        try:
            source = REST.bind({"base_url": "https://api.example.com", "describe": describe})
        except HeadraceError:
            continue
        used += 1
        for name in source.stream_names:
            _use(source.stream(name))
    assert used
