"""A folder with a manifest is checked: offline, and against the double that plays its system."""

from collections.abc import Callable
from pathlib import Path

from scheduler.connectors.check.bench import Subject
from scheduler.connectors.check.double.any_double import AnyDouble
from scheduler.connectors.check.finding import find_double
from scheduler.connectors.check.offline import MANIFEST, SENTENCES, offline
from scheduler.connectors.check.outcome import Outcome
from scheduler.connectors.check.report import Report, rows_of
from scheduler.connectors.check.suite import CHECKS, Choice, run
from worker.connectors.manifest.model import Manifest
from worker.connectors.manifest.problems import load_or_tell_all
from worker.errors import InvalidInput


def check_folder(
    folder: Path,
    *,
    double: type[AnyDouble] | None = None,
    choice: Choice = Choice(),  # noqa: B008 - frozen
    told: Callable[[Outcome], None] = lambda _: None,
) -> Report:
    """The report of the system in this folder. `double`: instead of the one beside the manifest."""
    manifest = manifest_of(folder)
    double = double or find_double(folder)
    outcomes = offline(manifest, folder)
    for outcome in outcomes:
        told(outcome)
    if double is not None and all(outcome.mark != "failed" for outcome in outcomes):
        outcomes += run(Subject(manifest, double), choice, told)
    sentences = {**SENTENCES, **{check.name: check.sentence for check in CHECKS}}
    rows, tried = rows_of(sentences, outcomes), tried_on(manifest)
    if double is None:
        return Report(manifest.system, manifest.title, "manifest", rows, tried)
    player, is_real = double.played_by, double.is_real
    return Report(manifest.system, manifest.title, "double", rows, tried, player, is_real)


def tried_on(manifest: Manifest) -> list[str]:
    """The live systems that it was tried on, with the days."""
    return [f"{trial.on} ({trial.at})" for trial in manifest.about.tried]


def manifest_of(folder: Path) -> Manifest:
    """The manifest in this folder, or the folder of this file."""
    path = folder if folder.is_file() else folder / MANIFEST
    if not path.is_file():
        raise InvalidInput("no_manifest", f"There is no {MANIFEST} in it.", place=str(folder))
    return load_or_tell_all(path.absolute())
