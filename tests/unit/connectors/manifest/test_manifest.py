"""Manifests: what they say, and complaints that lead to the line."""

from pathlib import Path
from typing import Any

import pytest

from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import StreamTraits
from worker.connectors.manifest.model import Manifest, load_manifest
from worker.connectors.manifest.schema import schema
from worker.connectors.paging.chained import ByCursor, ByLink, OnePage
from worker.connectors.paging.counted import ByNumber, ByOffset
from worker.errors import InvalidInput
from worker.parsing.durations import PATTERN

GOOD = """\
manifest: 1
system: shop
title: Shop
protocol: rest
base_url: "https://{site}.example.com/api"
settings:
  site: {required: true, pattern: "[a-z]+", description: The site.}
  company: {type: integer, description: The company.}
secrets:
  key: {description: The key.}
auth:
  header: {name: apikey, secret: key}
request:
  params: {company: "{company}"}
defaults:
  records: data
  key: id
streams:
  parts:
    path: /parts
    interval: 1h
  stock:
    path: /stock/{site}
    key: [part, bin]
    incremental: {field: changed, param: since, format: epoch_s, overlap: 10s, lag: 2s}
"""


def write(folder: Path, text: str, name: str = "shop") -> Path:
    path = folder / name / "manifest.yaml"
    path.parent.mkdir()
    path.write_text(text)
    return path


def load(folder: Path, text: str) -> Manifest:
    return load_manifest(write(folder, text))


def complaint(folder: Path, text: str) -> InvalidInput:
    path = write(folder, text)
    with pytest.raises(InvalidInput) as caught:
        load_manifest(path)
    place = str(caught.value.place)
    assert place.startswith(f"{path}:")
    caught.value.place = place.removeprefix(f"{path}:")
    return caught.value


def test_a_stream_takes_what_it_does_not_say_from_the_defaults(tmp_path: Path) -> None:
    manifest = load(tmp_path, GOOD)
    parts, stock = manifest.streams["parts"], manifest.streams["stock"]
    assert parts.shape.records == stock.shape.records == ("data",)
    assert parts.shape.key == (("id",),)
    assert stock.shape.key == (("part",), ("bin",))
    assert parts.traits == StreamTraits(incremental=False, ordered=False, timestamps=True, interval=3600)
    assert stock.traits == StreamTraits(
        incremental=True, ordered=False, timestamps=True, overlap=10, lag=2, interval=900
    )


def test_the_overlap_is_never_finer_than_the_format(tmp_path: Path) -> None:
    text = GOOD.replace("format: epoch_s, overlap: 10s", "format: date, overlap: 10s")
    assert load(tmp_path, text).streams["stock"].traits.overlap == 86400


@pytest.mark.parametrize(
    ("paging", "expected"),
    [
        ("none: {}", OnePage()),
        ("offset: {param: offset, limit_param: limit, size: 5}", ByOffset("offset", "limit", 5)),
        ("page: {param: page, size: 5, first: 0}", ByNumber("page", None, 5, first=0)),
        ("cursor: {param: after, path: meta.next}", ByCursor("after", ("meta", "next"))),
        ('next_link: {path: ["@odata.nextLink"]}', ByLink(path=("@odata.nextLink",))),
        ("next_link: {header: true, size_param: limit, size: 5}", ByLink(size_param="limit", size=5)),
    ],
)
def test_each_way_of_paging_can_be_said(tmp_path: Path, paging: str, expected: Any) -> None:
    text = GOOD.replace("    path: /parts\n", f"    path: /parts\n    paging: {{{paging}}}\n")
    assert load(tmp_path, text).streams["parts"].paging == expected


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("    interval: 1h\n", "    intervall: 1h\n", 21, "Did you mean 'interval'?"),
        ("    interval: 1h\n", "    interval: hourly\n", 21, "A duration, such as"),
        ("    interval: 1h\n", "    pagng: {none: {}}\n", 21, "Did you mean 'paging'?"),
        ("    interval: 1h\n", "    paging: {curser: {}}\n", 21, "Did you mean 'cursor'?"),
        ("    interval: 1h\n", "    paging: {cursor: {param: a}}\n", 21, "The key 'path' is missing in streams.parts.paging.cursor"),
        ("    interval: 1h\n", "    paging: {cursor: {param: a, path: data.next}}\n", 21, "from inside the list"),
        ("    interval: 1h\n", "    paging: {none: {}, offset: {param: a, limit_param: b, size: 1}}\n", 21, "none and offset stand there"),
        ("    interval: 1h\n", "    key: id..x\n", 21, "names joined by dots"),
        ("    path: /parts\n", "    path: parts\n", 20, "begins with /"),
        ("    path: /parts\n", "", 19, "The key 'path' is missing in streams.parts"),
        ("  key: id\n", "", 18, "The key 'key' is missing in streams.parts"),
        ("protocol: rest", "protocol: resty", 4, "Did you mean 'rest'?"),
        ("manifest: 1", "manifest: 2", 1, "manifest must be 1"),
        ("system: shop", "system: Shop", 2, "lower case letters"),
        ("system: shop", "system: shopp", 2, "The folder is called 'shop'"),
        ("title: Shop\n", "", 1, "The key 'title' is missing"),
        ("  header: {name: apikey, secret: key}", "  header: {name: apikey, secret: keys}", 12, "Did you mean 'key'?"),
        ("  header: {name: apikey, secret: key}", '  header: {name: "api key", secret: key}', 12, "name of a header"),
        ("  header: {name: apikey, secret: key}", "  basic: {username: {setting: sit}, password: {secret: key}}", 12, "'site'"),
        ("  header: {name: apikey, secret: key}", "  basic: {username: {secret: key}, password: {setting: site}}", 12, "secret"),
        ("  header: {name: apikey, secret: key}", "  tryton: {username: {setting: site}, password: {secret: key}}", 12, "protocol"),
        ("  header: {name: apikey, secret: key}", "  oauth: {}", 12, "Unknown key 'oauth' in auth."),
        ("https://{site}.", "https://{sites}.", 5, "Did you mean 'site'?"),
        ("https://{site}.", "https://{company}.", 5, "must be required or have a default"),
        ('"{company}"', '"{compani}"', 14, "Did you mean 'company'?"),
        ("/stock/{site}", "/stock/{sit}", 23, "Did you mean 'site'?"),
        ('pattern: "[a-z]+"', 'pattern: "[a-z"', 7, "no regular expression"),
        ("type: integer", "type: integer, default: x", 8, "must be a whole number"),
        ("type: integer", "type: float", 8, "settings.company.type must be one of"),
        ("format: epoch_s", "format: number", 25, "doesn't fit the kind timestamp"),
        ("format: epoch_s", "kind: number", 25, "lag goes with times"),
        ("format: epoch_s", "zone: Europe/Berln", 25, "no time zone 'Europe/Berln'"),
        ("param: since, ", "", 25, "needs the param"),
        ("overlap: 10s", "overlap: 10", 25, "overlap must be a duration"),
        ("    key: [part, bin]\n", "    deleted: {field: x, equals: null}\n", 24, "equals"),
        ("    key: [part, bin]\n", "    updated_at: {feld: x}\n", 24, "Did you mean 'field'?"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line_and_what_was_meant(
    tmp_path: Path, old: str, new: str, line: int, words: str
) -> None:
    assert old in GOOD
    error = complaint(tmp_path, GOOD.replace(old, new, 1))
    assert words in str(error)
    assert error.place == str(line)


def test_the_schema_knows_durations_as_the_parser_does() -> None:
    assert schema()["$defs"]["duration"]["pattern"] == PATTERN
    assert schema()["$defs"]["incremental"]["properties"]["overlap"]["pattern"] == PATTERN


def test_every_field_of_the_schema_says_what_it_is() -> None:
    def undescribed(node: Any, path: str) -> list[str]:
        found = []
        for name, field in node.get("properties", {}).items():
            target = schema()["$defs"][field["$ref"].rsplit("/", 1)[1]] if "$ref" in field else field
            if not (field.get("description") or target.get("description")):
                found.append(f"{path}.{name}")
            found += undescribed(field, f"{path}.{name}")
        return found

    places = {"": schema(), **schema()["$defs"]}
    assert [name for path, node in places.items() for name in undescribed(node, path)] == []


class TestSettings:
    @pytest.fixture
    def connector(self, tmp_path: Path) -> ManifestConnector:
        return ManifestConnector(load(tmp_path, GOOD))

    @pytest.mark.parametrize(
        ("settings", "code", "place", "words"),
        [
            ({}, "missing_key", "settings.site", "The site."),
            ({"site": None}, "bad_value", "settings.site", "must be text"),
            ({"site": "north", "compani": 1}, "unknown_key", "settings.compani", "Did you mean 'company'?"),
            ({"site": 5}, "bad_value", "settings.site", "must be text"),
            ({"site": "evil.org/"}, "bad_value", "settings.site", "The site."),
            ({"site": "north\n"}, "bad_value", "settings.site", "one line"),
            ({"site": "north", "company": "1"}, "bad_value", "settings.company", "a whole number"),
            ({"site": "north", "company": True}, "bad_value", "settings.company", "a whole number"),
        ],
    )
    def test_a_wrong_setting_is_named_with_what_it_should_be(
        self, connector: ManifestConnector, settings: dict[str, Any], code: str, place: str, words: str
    ) -> None:
        with pytest.raises(InvalidInput) as caught:
            connector.check_settings(settings)
        assert (caught.value.code, caught.value.place) == (code, place)
        assert words in str(caught.value)

    def test_right_settings_bind(self, connector: ManifestConnector) -> None:
        source = connector.bind({"site": "north", "company": 7})
        assert source.base_url == "https://north.example.com/api"
        assert connector.secret_names == {"key": True}
        assert list(connector.stream_names) == ["parts", "stock"]
