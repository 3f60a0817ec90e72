"""Times without an offset, by a clock that each connection names."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Window
from worker.connectors.manifest.model import Manifest, manifest_in
from worker.connectors.manifest.streams.zones import with_zones
from worker.connectors.manifest.views.expressions import At, FirstOf
from worker.connectors.manifest.views.zones import with_zones as models_by
from worker.errors import InvalidInput
from worker.parsing.documents import read_document

AROUND = """\
manifest: 1
system: shop
title: Shop
protocol: rest
base_url: "https://shop.example.com/api"
settings:
  timezone: {default: UTC, description: The clock of the shop.}
  place: {description: Where it is.}
defaults: {records: data, key: id, path: /parts}
streams:
  parts:
    incremental: {field: at, param: since, format: datetime, zone: "%s"}
    deletes: {tombstones: {path: /gone, incremental: {field: at, param: since, format: datetime, zone: "{timezone}"}}}
  plain: {path: /plain}
"""
NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)


def manifest(zone: str = "{timezone}") -> Manifest:
    return manifest_in(read_document((AROUND % zone).encode(), "manifest.yaml"))


def test_changes_are_asked_for_and_read_by_the_clock_of_the_connection() -> None:
    stream = ManifestConnector(manifest()).bind({"timezone": "America/Los_Angeles"}).stream("parts")
    assert ("since", "2026-06-15 05:00:00") in stream.request(Window(NOON, None), None).params


def test_each_connection_has_its_own_clock() -> None:
    connector = ManifestConnector(manifest())
    asked = [
        dict(connector.bind(settings).stream("parts").request(Window(NOON, None), None).params)["since"]
        for settings in ({}, {"timezone": "Asia/Tokyo"})
    ]
    assert asked == ["2026-06-15 12:00:00", "2026-06-15 21:00:00"]


def test_a_list_of_deletes_goes_by_the_same_clock() -> None:
    found = with_zones(manifest().streams, {"timezone": "Asia/Tokyo"})["parts"].tombstones
    assert found is not None
    assert found.incremental is not None
    assert found.incremental.time.zone == ZoneInfo("Asia/Tokyo")


def test_streams_that_wait_for_no_clock_stay_the_same_ones() -> None:
    streams = {"plain": manifest().streams["plain"]}
    assert with_zones(streams, {}) is streams


def test_a_clock_that_isnt_there_is_a_mistake_in_the_settings() -> None:
    with pytest.raises(InvalidInput, match="no time zone 'Mars/Olympus'") as caught:
        ManifestConnector(manifest()).check_settings({"timezone": "Mars/Olympus"})
    assert caught.value.place == "settings.timezone"


@pytest.mark.parametrize(
    ("zone", "words"),
    [
        ("{clock}", "no setting 'clock'"),
        ("{place}", "must be required or have a default"),
        ("Mars/Olympus", "no time zone"),
    ],
)
def test_a_manifest_that_names_no_clock_is_refused_with_its_line(zone: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as caught:
        manifest(zone)
    assert "12" in str(caught.value.place)


MODELS = """\
models:
  work_order:
    stream: parts
    fields:
      number: id
      due_at: {first_of: [{path: due, as: time, zone: "%s"}, {path: planned, as: time, zone: "Europe/Berlin"}]}
"""


def mapped(zone: str = "{timezone}") -> Manifest:
    text = (AROUND % "UTC") + MODELS % zone
    return manifest_in(read_document(text.encode(), "manifest.yaml"))


class TestModels:
    def test_times_of_a_model_go_by_the_clock_of_the_connection(self) -> None:
        manifest = mapped()
        assert manifest.zones == ("timezone",)
        for settings, zone in (({}, "UTC"), ({"timezone": "Asia/Tokyo"}, "Asia/Tokyo")):
            found = models_by(manifest.models[0], manifest.zones_of(settings))
            due = found.fields["due_at"]
            assert isinstance(due, FirstOf)
            assert [part.zone for part in due.parts if isinstance(part, At)] == [zone, "Europe/Berlin"]
            assert found.fields["number"] == manifest.models[0].fields["number"]

    def test_a_mapping_that_waits_for_no_clock_stays_the_same_one(self) -> None:
        mapping = mapped("Asia/Tokyo").models[0]
        assert models_by(mapping, {}) is mapping

    def test_a_setting_that_names_no_zone_is_refused(self) -> None:
        with pytest.raises(InvalidInput, match="timezone"):
            ManifestConnector(mapped()).bind({"timezone": "Nowhere"})

    @pytest.mark.parametrize(
        ("zone", "complaint"),
        [("{timezoen}", "no setting 'timezoen'"), ("{place}", "required or have a default")],
    )
    def test_a_setting_that_isnt_there_is_told(self, zone: str, complaint: str) -> None:
        with pytest.raises(InvalidInput, match=complaint):
            mapped(zone)
