"""What can be said of a connector without any server: it is valid, binds, describes requests, and reads what was recorded."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from scheduler.connectors.check.counting import doubled
from scheduler.connectors.check.outcome import Outcome
from scheduler.connectors.check.recorded import Recording, recordings
from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Page, Request, Source, Stream, Window
from worker.connectors.manifest.model import Manifest
from worker.connectors.manifest.settings import Setting, what_is_wrong
from worker.connectors.manifest.views.expressions import At, ListOf, Lookup
from worker.connectors.reading.fields import walk
from worker.connectors.reading.shape import FieldPath
from worker.errors import BadRecord, HeadraceError
from worker.parsing.documents import load_document
from worker.parsing.wording import counted

SENTENCES: Mapping[str, str] = {
    "manifest": "The manifest is valid, and says where to find each secret.",
    "binding": "The least settings bind, and every stream is there.",
    "composing": "Requests for a first load, an increment, a sweep and one record can be described.",
    "recorded": "Recorded answers are read: keys, cursors, and the fields of columns and models are there.",
}
MANIFEST = "manifest.yaml"
SINCE = datetime(2026, 6, 1, tzinfo=UTC)
WINDOW = timedelta(days=1)
_SAMPLES = (
    "sample",
    "sample.example.com",
    "https://system.example.com",
    "7",
    "A1",
    "a",
    "00000000-0000-0000-0000-000000000000",
)


def offline(manifest: Manifest, folder: Path | None) -> list[Outcome]:
    """All of it; what a first failure makes impossible is left out."""
    found = [_manifest(manifest, folder)]
    try:
        source = ManifestConnector(manifest).bind(sample_settings(manifest))
        streams = {name: source.stream(name) for name in manifest.streams}
    except HeadraceError as exc:
        return [*found, Outcome("binding", "failed", expected="that it binds", came=str(exc))]
    found.append(Outcome("binding", "passed", counted(len(streams), "stream")))
    found += [_composed(source, name, stream) for name, stream in streams.items()]
    if folder is not None:
        found += [
            _read(manifest, streams[name], several) for name, several in recordings(folder, streams).items()
        ]
    return found


def sample_settings(manifest: Manifest) -> dict[str, Any]:
    """The least that a connection must say, made up."""
    return {
        name: _sample(setting)
        for name, setting in manifest.settings.items()
        if setting.required and setting.default is None
    }


def _sample(setting: Setting) -> Any:
    if setting.kind == "integer":
        return 7
    if setting.kind == "boolean":
        return True
    if setting.name.endswith("url"):
        return "https://system.example.com"
    if setting.name.endswith("zone"):
        return "UTC"
    fitting = (text for text in (*setting.choices, *_SAMPLES) if what_is_wrong(setting, text) is None)
    return next(fitting, "sample")


def _manifest(manifest: Manifest, folder: Path | None) -> Outcome:
    lacking = [name for name, secret in manifest.secrets.items() if not secret.find]
    if lacking:
        came = f"nothing about {', '.join(f'{name}{_where(folder, name)}' for name in lacking)}"
        expected = "`find` for each secret, also for one that may be left out: where people find it"
        return Outcome("manifest", "failed", expected=expected, came=came)
    return Outcome("manifest", "passed", f"version {manifest.version}")


def _where(folder: Path | None, secret: str) -> str:
    """File and line, for whoever mends it."""
    path = None if folder is None else folder / MANIFEST if folder.is_dir() else folder
    if path is None or not path.is_file():
        return ""
    return f" ({path.name}:{load_document(path).line(('secrets', secret))})"


def _composed(source: Source, name: str, stream: Stream) -> Outcome:
    try:
        requests = list(_requests(stream))
    except HeadraceError as exc:
        return Outcome("composing", "failed", stream=name, expected="requests", came=str(exc))
    for words, request in requests:
        host = urlsplit(request.url).netloc or urlsplit(source.base_url).netloc
        if host != urlsplit(source.base_url).netloc:
            came = f"{words} goes to {host}"
            return Outcome(
                "composing", "failed", stream=name, expected="requests to base_url's host", came=came
            )
        if "{" in request.url:
            came = f"a setting that isn't filled: {request.url}"
            return Outcome("composing", "failed", stream=name, expected=f"the URL of {words}", came=came)
    return Outcome("composing", "passed", ", ".join(words for words, _ in requests), stream=name)


def _requests(stream: Stream) -> Iterator[tuple[str, Request]]:
    yield "a first load", stream.request(Window(), None)
    traits = stream.traits
    if traits.incremental and not traits.token:
        window = Window(SINCE, SINCE + WINDOW) if traits.timestamps else Window(1000)
        yield "an increment", stream.request(window, None)
    for words, listed in (("a sweep", stream.sweep()), ("the list of deletes", stream.tombstones())):
        if listed is not None:
            yield words, listed.request(Window(), None)
    for key in ("7", '["7","A"]'):
        try:
            request = stream.single(key)
        except BadRecord:
            continue
        if request is not None:
            yield "one record", request
        return


def _read(manifest: Manifest, stream: Stream, several: list[Recording]) -> Outcome:
    """The recordings of one stream."""
    raws: list[Any] = []
    for recording in several:
        try:
            page = stream.read(recording.response, Window(), None)
        except HeadraceError as exc:
            return _unread(stream, recording, "a page", str(exc))
        if words := doubled(manifest.streams[stream.name], recording.response.body, page):
            return _unread(stream, recording, "a key of its own for each record", words)
        if wrong := _wrong_in(page, stream):
            return _unread(stream, recording, *wrong)
        raws += [recording.decoded(record.raw) for record in page.records]
    if not raws:
        return Outcome(
            "recorded", "not applicable", "The recorded answers hold no record.", stream=stream.name
        )
    if absent := [
        path for path in _named(manifest, stream.name) if not any(_names(raw, path) for raw in raws)
    ]:
        names = ", ".join(".".join(map(str, path)) for path in absent)
        return _unread(
            stream, several[0], "the fields that columns and models name", f"no record with {names}"
        )
    return Outcome("recorded", "passed", counted(len(raws), "record"), stream=stream.name)


def _wrong_in(page: Page, stream: Stream) -> tuple[str, str] | None:
    """What was expected of a page, and what came."""
    if page.rejected:
        bad = page.rejected[0]
        return "records that can be taken", f"{len(page.rejected)} of them can't: {bad.reason}"
    by_value = stream.traits.incremental and not stream.traits.token
    if by_value and page.records and all(record.cursor is None for record in page.records):
        return "a cursor in the records", "none in any"
    return None


def _unread(stream: Stream, recording: Recording, expected: str, came: str) -> Outcome:
    return Outcome(
        "recorded", "failed", stream=stream.name, expected=expected, came=came, request=recording.words
    )


def _names(value: Any, path: FieldPath) -> bool:
    """Whether a record has the field, be it without a value. What stands in something that is empty may be there."""
    for number, name in enumerate(path):
        if value is None or value == []:
            return number > 0
        if isinstance(value, Mapping) and name not in value:
            return False
        value = walk(value, (name,))
    return True


def _named(manifest: Manifest, stream: str) -> list[FieldPath]:
    """The fields that declared columns and models read, each once."""
    found = {column.path: None for column in manifest.streams[stream].table.columns}
    for mapping in manifest.models:
        if mapping.stream == stream:
            parts = (mapping.fields, mapping.custom_fields)
            found |= dict.fromkeys(
                path for part in parts for each in part.values() for path in paths_of(each)
            )
    return list(found)


def paths_of(expression: Any) -> Iterator[FieldPath]:
    """The paths that an expression may read, but for those of which one of several is enough."""
    match expression:
        case At() | ListOf() | Lookup():
            yield expression.path
        case _ if hasattr(expression, "of"):
            yield from paths_of(expression.of)
        case _:
            return
