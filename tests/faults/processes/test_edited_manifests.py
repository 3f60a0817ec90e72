"""Manifests are edited, broken and taken away while a worker and a beat run, and none of them is restarted."""

import shutil
from pathlib import Path

import pytest
from servers.installation.plant import Plant, connected
from servers.installation.stack import Stack, add_system

pytestmark = [pytest.mark.integration, pytest.mark.timeout(90)]

SETTINGS = {"HEADRACE_RELOAD_CONNECTORS": "0.2"}
VENDORS = ("vendors",)


def test_a_system_that_is_new_is_served_by_those_who_run_already(stack: Stack, tmp_path: Path) -> None:
    add_system(stack.connectors, "annex")
    stack.reload()
    with connected(stack, tmp_path, system="annex") as annex:
        annex.connect(entities=VENDORS)
        (ended,) = annex.sync("vendors")
        assert ended["state"] == "succeeded"


def test_a_manifest_that_breaks_stops_no_run_of_its_own_or_of_another_system(
    stack: Stack, tmp_path: Path, plant: Plant
) -> None:
    add_system(stack.connectors, "wing")
    stack.reload()
    with connected(stack, tmp_path / "wing", system="wing") as wing:
        for each in (wing, plant):
            each.connect(entities=VENDORS)
            each.sync("vendors")
        path = stack.connectors / "wing" / "manifest.yaml"
        path.write_text('{"manifest": 1,\n"system": "wing"')
        stack.kill("main-1")
        stack.again("main-1")  # also one that starts with it broken
        assert [each.sync("vendors")[0]["state"] for each in (wing, plant)] == ["succeeded"] * 2
        refused = stack.events("main-1", "manifest_refused")
        assert any(f"{path}:1" in line["error"] for line in refused)
        shutil.rmtree(path.parent)
        assert wing.sync("vendors")[0]["state"] == "succeeded"
