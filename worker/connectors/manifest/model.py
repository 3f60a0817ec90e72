"""What does a manifest say? A file, checked by the schema and by what a schema can't see, becomes frozen data.

Every complaint names the file, the line and the field.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from worker.connectors.auth import Credential
from worker.connectors.contract import Limits
from worker.connectors.hooks.loading import LoadedHook, load_hook
from worker.connectors.manifest.errors import read_errors
from worker.connectors.manifest.limits import read_limits
from worker.connectors.manifest.oauth2 import OAuth2Manifest
from worker.connectors.manifest.requests import templates_in
from worker.connectors.manifest.schema import schema
from worker.connectors.manifest.streams.stream import StreamManifest, read_streams
from worker.connectors.manifest.templates import names_in
from worker.connectors.manifest.views.mapping import ModelMapping
from worker.connectors.manifest.views.tables import read_model_mappings
from worker.connectors.manifest.webhooks.hooks import WebhooksManifest
from worker.connectors.manifest.webhooks.reading import read_webhooks
from worker.connectors.refusals.refusals import Refusals
from worker.errors import InvalidInput
from worker.parsing.documents import Document, load_document, suggest, validate

FIRST_VERSION = "1.0.0"
"""Of a manifest that doesn't say which it is."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a connection must or may say."""

    name: str
    kind: str
    required: bool
    default: Any
    description: str
    pattern: str | None


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that a connection must or may reference."""

    name: str
    required: bool
    description: str
    find: str | None


@dataclass(frozen=True, slots=True)
class AuthManifest:
    """How requests prove who they are: a kind, and what it needs."""

    kind: str = "none"
    secret: str = ""
    name: str = ""
    prefix: str = ""
    username: Credential | None = None
    username_setting: str | None = None
    password: str = ""
    oauth2: OAuth2Manifest | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """One system."""

    system: str
    version: str
    title: str
    docs: str | None
    protocol: str
    base_url: str
    settings: Mapping[str, Setting]
    secrets: Mapping[str, Secret]
    auth: AuthManifest
    headers: Mapping[str, str]
    params: Mapping[str, str | Sequence[str]]
    limits: Limits
    errors: Refusals
    rpc_path: str
    rpc_size: int
    streams: Mapping[str, StreamManifest]
    models: tuple[ModelMapping, ...] = ()
    webhooks: WebhooksManifest | None = None
    body: Any = None
    """What the body of every request holds."""
    open: tuple[str, ...] = ()
    """Sections that a connection may add to, in `describe`."""
    document: Document | None = field(default=None, repr=False, compare=False)
    """As it was written, where a connection may add to it."""
    hook: LoadedHook | None = field(default=None, compare=False)
    """Python of its own, where its words end."""


def load_manifest(path: Path) -> Manifest:
    """Read and check a manifest; `InvalidInput` for the first thing that is wrong with it."""
    document = load_document(path)
    manifest = manifest_in(document)
    if path.parent.name != document.data["system"]:
        message = f"The folder is called {path.parent.name!r}, the system {document.data['system']!r}."
        raise document.error(("system",), "bad_value", message, hint="Give both the same name.")
    if "hook" not in document.data:
        return manifest
    return replace(manifest, hook=_hook(document, path.parent / document.data["hook"]))


def _hook(document: Document, path: Path) -> LoadedHook:
    if not path.is_file():
        raise document.error(("hook",), "bad_value", f"There is no file {path.name} beside the manifest.")
    return load_hook(path, document.data["system"])


def manifest_in(document: Document) -> Manifest:
    """The same of a document that doesn't lie in a folder of its own."""
    validate(document, schema())
    return read_manifest(document)


def read_manifest(document: Document) -> Manifest:
    """The manifest in a document that fits the schema."""
    data = document.data
    request, rpc = (data.get(key, {}) for key in ("request", "tryton"))
    settings = {name: _setting(document, name, found) for name, found in data.get("settings", {}).items()}
    _check_names(document, settings)
    return Manifest(
        system=data["system"],
        version=data.get("version", FIRST_VERSION),
        title=data["title"],
        docs=data.get("docs"),
        protocol=data["protocol"],
        base_url=data["base_url"],
        settings=settings,
        secrets={
            name: Secret(name, found.get("required", True), found["description"], found.get("find"))
            for name, found in data.get("secrets", {}).items()
        },
        auth=_auth(document),
        headers=request.get("headers", {}),
        params=request.get("params", {}),
        limits=read_limits(document),
        errors=read_errors(document),
        rpc_path=rpc.get("path", "/{database}/rpc/"),
        rpc_size=rpc.get("size", 500),
        streams=read_streams(document, data["protocol"]),
        models=read_model_mappings(document, list(data.get("streams", ()))),
        webhooks=read_webhooks(document),
        body=request.get("body"),
        open=tuple(data.get("open", ())),
        document=document if "open" in data else None,
    )


def _setting(document: Document, name: str, found: Mapping[str, Any]) -> Setting:
    pattern = found.get("pattern")
    try:
        re.compile(pattern or "")
    except re.error as exc:
        message = f"The pattern of {name} is no regular expression: {exc}."
        raise document.error(("settings", name, "pattern"), "bad_value", message) from None
    setting = Setting(
        name=name,
        kind=found.get("type", "string"),
        required=found.get("required", False),
        default=found.get("default"),
        description=found["description"],
        pattern=pattern,
    )
    if setting.default is not None and (wrong := what_is_wrong(setting, setting.default)):
        raise document.error(("settings", name, "default"), "bad_value", f"The default of {name} {wrong}.")
    return setting


def what_is_wrong(setting: Setting, value: Any) -> str | None:
    """Why a value can't be this setting, in words; None if it can."""
    kinds = {"string": (str, "text"), "integer": (int, "a whole number"), "boolean": (bool, "true or false")}
    kind, words = kinds[setting.kind]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        return f"must be {words}"
    if isinstance(value, str):
        if not value.isprintable() or len(value) > 2000:
            return "must be one line of at most 2,000 printable characters"
        if setting.pattern and not re.fullmatch(setting.pattern, value):
            return f"doesn't fit: {setting.description}"
    return None


def _auth(document: Document) -> AuthManifest:
    auth: dict[str, dict[str, Any]] = document.data.get("auth") or {"none": {}}
    kind, found = next(iter(auth.items()))
    if kind == "tryton" and document.data["protocol"] != "tryton":
        raise document.error(("auth", kind), "bad_value", "Tryton sessions go with the protocol tryton only.")
    if kind in {"none", "bearer", "header"}:
        if "secret" in found:
            _check_secret(document, ("auth", kind, "secret"), found["secret"])
        return AuthManifest(kind, found.get("secret", ""), found.get("name", ""), found.get("prefix", ""))
    if kind == "oauth2":
        return AuthManifest(kind, oauth2=_oauth2(document, found))
    for part in ("username", "password"):
        where = ("auth", kind, part)
        credential = found[part]
        if "secret" in credential:
            _check_secret(document, (*where, "secret"), credential["secret"])
        elif part == "password":
            raise document.error(where, "bad_value", "A password is a secret: {secret: name}.")
        else:
            _check_setting(document, (*where, "setting"), credential["setting"])
    username = found["username"]
    return AuthManifest(
        kind,
        username=Credential(secret=username["secret"]) if "secret" in username else None,
        username_setting=username.get("setting"),
        password=found["password"]["secret"],
    )


def _oauth2(document: Document, found: Mapping[str, Any]) -> OAuth2Manifest:
    where = ("auth", "oauth2")
    for part in ("client_secret", "refresh_token"):
        if part in found:
            _check_secret(document, (*where, part), found[part])
    client = found["client_id"]
    if "secret" in client:
        _check_secret(document, (*where, "client_id", "secret"), client["secret"])
    else:
        _check_setting(document, (*where, "client_id", "setting"), client["setting"])
    lacking = {"client_credentials": "client_secret", "refresh_token": "refresh_token"}[found["grant"]]
    if lacking not in found:
        message = f"The grant {found['grant']} needs {lacking}: the name of a secret."
        raise document.error(where, "bad_value", message)
    return OAuth2Manifest.read(found)


def _check_names(document: Document, settings: Mapping[str, Setting]) -> None:
    for where, found in _streams(document.data):
        for part, about in _parts_of_deletes(found):
            if "setting" in about:
                _check_setting(document, (*where, "deletes", part, "setting"), about["setting"])
    for where, found in [(("request",), document.data.get("request", {})), *_streams(document.data)]:
        for path, name in templates_in(found, where):
            _check_setting(document, path, name)
    for path, text in _templates(document.data):
        for name in names_in(text):
            _check_setting(document, path, name)
            setting = settings[name]
            optional_here = bool({"params", "headers", "scopes"} & {*path})
            if not optional_here and not setting.required and setting.default is None:
                message = f"The setting {name} is used here, so it must be required or have a default."
                raise document.error(path, "bad_value", message)


def _templates(data: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    yield ("base_url",), data["base_url"]
    yield from _params(data.get("request", {}), ("request",))
    yield from _oauth2_templates(data.get("auth", {}).get("oauth2", {}))
    if data["protocol"] == "tryton":
        yield ("tryton", "path"), data.get("tryton", {}).get("path", "/{database}/rpc/")
    streams = _streams(data)
    for where, found in list(streams):
        streams += [((*where, "deletes", part), about) for part, about in _parts_of_deletes(found)]
    for where, found in streams:
        single = found.get("single", {})
        yield from _params(single, (*where, "single"))
        if "path" in single:
            yield (*where, "single", "path"), single["path"].replace("{key}", "")
        if "path" in found:
            yield (*where, "path"), found["path"]
        yield from _params(found, where)


def _params(found: Mapping[str, Any], where: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    for group in ("headers", "params"):
        for name, value in found.get(group, {}).items():
            texts = [value] if isinstance(value, str) else value
            yield from (((*where, group, name), text.replace("{key}", "")) for text in texts)


def _oauth2_templates(found: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    where, consent = ("auth", "oauth2"), found.get("authorize", {})
    yield from (((*where, "scopes"), text) for text in found.get("scopes", ()))
    yield from (((*where, "params", name), text) for name, text in found.get("params", {}).items())
    if "token_url" in found:
        yield (*where, "token_url"), found["token_url"]
    if "url" in consent:
        yield (*where, "authorize", "url"), consent["url"]
    params = consent.get("params", {})
    yield from (((*where, "authorize", "params", name), text) for name, text in params.items())


def _streams(data: Mapping[str, Any]) -> list[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """The streams as they stand in the file, and what they have in common."""
    named = [(("streams", name), found) for name, found in data.get("streams", {}).items()]
    return [(("defaults",), data.get("defaults", {})), *named]


def _parts_of_deletes(found: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What asks the system for deletes: the list of them, and the sweep."""
    for part in ("tombstones", "sweep"):
        if isinstance(about := found.get("deletes", {}).get(part), Mapping):
            yield part, about


def _check_setting(document: Document, path: Sequence[str], name: str) -> None:
    _check_known(document, path, name, "setting", document.data.get("settings", {}))


def _check_secret(document: Document, path: Sequence[str], name: str) -> None:
    _check_known(document, path, name, "secret", document.data.get("secrets", {}))


def _check_known(
    document: Document, path: Sequence[str], name: str, what: str, known: Mapping[str, Any]
) -> None:
    if name not in known:
        message = f"There is no {what} {name!r} in this manifest."
        raise document.error(path, "bad_value", message, hint=suggest(name, known) or None)


def settings_error(code: str, name: str, message: str, hint: str | None = None) -> InvalidInput:
    """What is wrong with a connection's setting."""
    return InvalidInput(code, message, place=f"settings.{name}", hint=hint)
