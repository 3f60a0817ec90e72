"""Do the connectors of the catalogue keep their promises, and do their READMEs say what was found?

Each is checked against its double in tests/connectors/doubles; one that has none against nothing but its manifest.
"""

from functools import lru_cache
from pathlib import Path

import pytest
from connectors.doubles.found import PLAYED, SYSTEMS, double_of
from connectors.doubles.plain import MANIFEST, Plain

from scheduler.connectors.check.bench import Subject
from scheduler.connectors.check.checking import check_folder
from scheduler.connectors.check.report import BEGIN, END, Report
from scheduler.connectors.check.suite import CHECKS, try_out
from worker.connectors.manifest.model import manifest_in
from worker.connectors.registry.places import CATALOG
from worker.parsing.documents import read_document

pytestmark = pytest.mark.integration

PLAIN = Subject(manifest_in(read_document(MANIFEST.encode(), "manifest.yaml")), Plain)


@lru_cache
def report(system: str) -> Report:
    return check_folder(CATALOG / system, double=double_of(system))


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_promise_is_kept(system: str) -> None:
    found = report(system)
    assert found.kept, "\n".join(found.failures())


@pytest.mark.parametrize("system", PLAYED)
def test_its_readme_holds_the_report_of_today(system: str) -> None:
    """`make conformance` writes them anew."""
    readme = Path(CATALOG, system, "README.md").read_text(encoding="utf-8")
    _, begins, rest = readme.partition(BEGIN)
    assert begins + rest.partition(END)[0] + END == report(system).markdown()


@pytest.mark.parametrize("stream", PLAIN.manifest.streams)
def test_every_way_of_paging_cursors_and_deletes_keeps_them(stream: str) -> None:
    broken = [found for check in CHECKS if (found := try_out(check, PLAIN, stream)).mark == "failed"]
    assert not broken
