"""What is different between two versions of a system's manifest, for one connection? Pure, and told in sentences.

The worst comes first: what is called by another key and what is followed by another cursor begins anew. What says only how
a system is asked, or how records are shown, costs nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from worker.connectors.manifest.model import Manifest
from worker.connectors.manifest.streams.stream import StreamManifest
from worker.connectors.reading.shape import TimeField
from worker.connectors.registry.fitting import NOTHING, Fit, asking_of, fits

Kind = Literal["changed", "added", "removed"]


@dataclass(frozen=True, slots=True)
class StreamChange:
    """One stream that is not as it was."""

    stream: str
    kind: Kind
    fit: Fit = field(default_factory=Fit)
    words: tuple[str, ...] = ()

    @property
    def anew(self) -> bool:
        """It is read from the beginning again."""
        return self.kind == "changed" and not (self.fit.key and self.fit.cursor)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        changed = [
            name for name in ("key", "cursor", "version", "deletes", "place") if not getattr(self.fit, name)
        ]
        return {
            "stream": self.stream,
            "kind": self.kind,
            "changed": changed if self.kind == "changed" else [],
            "read_again": self.anew,
            "words": list(self.words),
        }


@dataclass(frozen=True, slots=True)
class Difference:
    """All that is different."""

    streams: tuple[StreamChange, ...] = ()
    words: tuple[str, ...] = ()
    """Of the system as a whole: limits, log-in, webhooks and the like."""
    lacking_settings: tuple[str, ...] = ()
    lacking_secrets: tuple[str, ...] = ()
    """What the other version needs, and the connection doesn't have."""
    needless_settings: tuple[str, ...] = ()
    needless_secrets: tuple[str, ...] = ()
    """What the connection has, and the other version doesn't know."""

    def of(self, kind: Kind) -> list[StreamChange]:
        return [change for change in self.streams if change.kind == kind]


def compare(
    before: Manifest | None,
    after: Manifest,
    *,
    settings: Mapping[str, Any],
    secrets: Mapping[str, Any],
    streams: Sequence[str] = (),
) -> Difference:
    """From one version to another, for a connection with these settings and secrets.

    `before` is None where nobody can read it any more: then nothing that is kept of its `streams` can be relied on.
    """
    known = {name: setting.required and setting.default is None for name, setting in after.settings.items()}
    needed = {name: secret.required for name, secret in after.secrets.items()}
    return Difference(
        streams=tuple(_streams(before, after, streams)),
        words=() if before is None else tuple(_of_the_system(before, after)),
        lacking_settings=tuple(n for n, must in known.items() if must and settings.get(n) is None),
        lacking_secrets=tuple(n for n, must in needed.items() if must and n not in secrets),
        needless_settings=tuple(n for n in settings if n not in known and n != "describe"),
        needless_secrets=tuple(n for n in secrets if n not in needed),
    )


def _streams(before: Manifest | None, after: Manifest, streams: Sequence[str]) -> Iterator[StreamChange]:
    if before is None:
        lost = ("The version that it was read by can't be read any more, so it begins anew.",)
        for name in streams:
            yield StreamChange(name, "changed", NOTHING, lost) if name in after.streams else _removed(name)
        return
    fit = fits(before, after)
    for name, stream in before.streams.items():
        if name not in after.streams:
            yield _removed(name)
        elif words := (
            *_of_its_state(stream, after.streams[name], fit[name]),
            *_of_its_deletes(stream, after.streams[name]),
            *_of_its_face(before, after, stream, after.streams[name]),
        ):
            yield StreamChange(name, "changed", fit[name], words)
    for name in after.streams:
        if name not in before.streams:
            news = ("It is new, and not synced before `headrace apply` or the API says so.",)
            yield StreamChange(name, "added", words=news)


def _removed(name: str) -> StreamChange:
    words = ("There is no such stream any more: it is switched off, and its records stay as they are.",)
    return StreamChange(name, "removed", words=words)


def _of_its_state(old: StreamManifest, new: StreamManifest, fit: Fit) -> Iterator[str]:
    if not fit.key:
        yield (
            f"Its records are called by {_paths(new.shape.key)}, and not by {_paths(old.shape.key)}: those in the copy become "
            "deletes (rekeyed), and all are read again under their new keys."
        )
    if not fit.cursor:
        said = f"It is followed by {_cursor(new)}, and not by {_cursor(old)}"
        yield f"{said}: its cursors are dropped, and it is read again." if fit.key else f"{said}."
    if not fit.version:
        yield "Which of two contents is the newer is told by another field: the versions that are kept are forgotten."
    if not fit.deletes:
        yield "The system's list of deletes is another: it is read from a day ago on; a sweep finds what was deleted before."
    if fit.key and fit.cursor and not fit.place:
        asked = "the other address" if asking_of(old) == asking_of(new) else "other requests or pages"
        yield f"It is asked with {asked}: a reading that is under way begins its window anew."
    if (old.shape.volatile, old.shape.shuffled) != (new.shape.volatile, new.shape.shuffled):
        yield "What doesn't count as a change is different, so records may count as changed once when they come again."


def _of_its_deletes(old: StreamManifest, new: StreamManifest) -> Iterator[str]:
    if (old.shape.deleted, old.removed) != (new.shape.deleted, new.removed):
        yield "Records say in another way that they are gone."
    if (old.swept is None) != (new.swept is None):
        yield "Sweeps can list it now." if new.swept is not None else "Sweeps can't list it any more."


def _of_its_face(
    before: Manifest, after: Manifest, old: StreamManifest, new: StreamManifest
) -> Iterator[str]:
    if old.shape.updated_at != new.shape.updated_at:
        yield "The time of change that is shown with its records stands elsewhere."
    if old.table != new.table:
        yield "Its view has other columns."
    if _models(before, old.name) != _models(after, new.name):
        names = sorted({each.model for each in (*_models(before, old.name), *_models(after, new.name))})
        yield f"It is read otherwise as {', '.join(names)}: the views of these models are made anew."
    if _asked_alone(old) != _asked_alone(new):
        yield "Single records, or some by a filter, are asked for in another way."


def _of_the_system(before: Manifest, after: Manifest) -> Iterator[str]:
    if before.base_url != after.base_url:
        yield f"It lives at {after.base_url}, and not at {before.base_url}."
    if before.auth != after.auth:
        yield "It is logged in to in another way."
    if (before.headers, before.params, before.body) != (after.headers, after.params, after.body):
        yield "Every request carries other headers, parameters or another body."
    if before.limits != after.limits:
        yield "The limits that its requests keep to are others."
    if before.errors != after.errors:
        yield "Its errors are understood in another way."
    if before.webhooks != after.webhooks:
        yield "Its webhooks are taken in another way."


def _asked_alone(stream: StreamManifest) -> Any:
    below = stream.detail.below if stream.detail is not None else None
    return stream.single, stream.filters, below and below.asked


def _models(manifest: Manifest, stream: str) -> list[Any]:
    return [mapping for mapping in manifest.models if mapping.stream == stream]


def _paths(paths: Sequence[Sequence[str]]) -> str:
    return " and ".join(".".join(map(str, path)) for path in paths)


def _cursor(stream: StreamManifest) -> str:
    if not stream.traits.incremental:
        return "nothing (all of it is read each time)"
    if stream.traits.token:
        return "a token of the system's"
    found: TimeField | None = stream.shape.cursor
    if found is None:
        return "a cursor of its own"
    return f"{_paths(found.paths)} ({found.form}, {found.zone})"
