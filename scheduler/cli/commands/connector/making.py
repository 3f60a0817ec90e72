"""`headrace connector new` and `from-openapi`: a first manifest that is valid and runs."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from scheduler.cli.output import note, say
from scheduler.cli.pairs import pairs
from scheduler.cli.session import command_settings
from worker.errors import HeadraceError, InvalidInput
from worker.parsing.wording import counted

if TYPE_CHECKING:
    from scheduler.connectors.kit.first import First
    from scheduler.connectors.kit.writing import Sketch

Into = Annotated[Path, typer.Option("--into", help="The folder of your connectors.")]
CONNECTORS = Path("connectors")


@dataclass(frozen=True, slots=True)
class _Account:
    """What was given of an account to look at."""

    settings: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)


def new(
    name: Annotated[str, typer.Argument(help="What the system is called: lower case letters, digits and _.")],
    *,
    title: Annotated[str, typer.Option(help="The system's name for people.")] = "",
    base_url: Annotated[
        str, typer.Option(help="Where its API begins, such as https://api.example.com/v1.")
    ] = "",
    auth: Annotated[
        str,
        typer.Option(
            help="none, bearer, basic, header:NAME, or header:NAME:WORD where the key stands behind a word, "
            "such as header:Authorization:Token."
        ),
    ] = "",
    path: Annotated[
        list[str] | None,
        typer.Option(
            "--path",
            help="A list to read, such as /orders, '/orders?state=open' or '/sites/{site}/orders', "
            "where each connection says its site; may be repeated.",
        ),
    ] = None,
    param: Annotated[
        list[str] | None, typer.Option("--param", help="NAME=VALUE, a query parameter of each list.")
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--setting", help="NAME=VALUE for a {name} in the path, to have a look at the list."),
    ] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option(
            "--secret", help="NAME=REFERENCE, such as token=env://SHOP_TOKEN: has a look at the lists."
        ),
    ] = None,
    into: Into = CONNECTORS,
) -> None:
    """Write a first manifest for a system of your own. Asks what it isn't told; with a secret it looks at an answer and guesses.

    Example: headrace connector new shop --base-url https://api.shop.example/v1 --path /orders --secret token=env://SHOP_TOKEN
    """
    from scheduler.connectors.kit.first import First, check_base_url, first_of, for_each  # noqa: PLC0415
    from scheduler.connectors.kit.guessing import name_in  # noqa: PLC0415
    from scheduler.connectors.kit.writing import Sketch, name_of, secret_names, with_guess  # noqa: PLC0415

    command_settings()
    folder = _new_folder(into, name, "NAME")
    title = title or _ask("What is the system called?", name.replace("_", " ").capitalize())
    base_url = (base_url or _ask("Where does its API begin?", "https://api.example.com/v1")).rstrip("/")
    in_url = check_base_url(base_url)
    auth = auth or _ask("How does one log in? none, bearer, basic, header:NAME or header:NAME:WORD", "bearer")
    if auth.partition(":")[0] not in {"none", "bearer", "basic", "header"}:
        raise InvalidInput(
            "bad_value", "It is none, bearer, basic, header:NAME or header:NAME:WORD.", place="--auth"
        )
    lists = path or [_ask("Which list is read first?", "/records")]
    firsts = [first_of(one, base_url, pairs(param, "--param")) for one in lists]
    settings = tuple(dict.fromkeys([*in_url, *(name for first in firsts for name in first.settings)]))
    given = _Account(pairs(setting, "--setting"), pairs(secret, "--secret", "REFERENCE"))
    _check_references(given.secrets, secret_names(auth))
    looks = bool(given.secrets) or auth == "none"
    given = _Account(_values(settings, given.settings, needed=looks), given.secrets)
    sketch = Sketch(name, title, base_url, auth, settings=settings)
    streams: dict[str, First] = {}
    for first in firsts:
        stream = name_of(name_in(first.path) or "records", [*streams])
        streams[stream] = first
        remarks = {"records": "Where does an answer hold its list, and which field names a record?"}
        params = {"params": dict(first.params)} if first.params else {}
        with_guess(sketch, stream, {"path": first.path, **params, "records": "data", "key": "id"}, remarks)
    sketch.left_out = for_each([first.path for first in firsts], sketch.streams)
    for stream, first in streams.items() if looks else ():
        _look(sketch, stream, first, given)
    _write(sketch, folder, given)


def from_openapi(
    file: Annotated[
        str, typer.Argument(help="An OpenAPI 3 or Swagger 2 document, JSON or YAML: a file, or its address.")
    ],
    *,
    name: Annotated[str, typer.Option(help="What the system is called. Left out: as its title.")] = "",
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--setting",
            help="NAME=VALUE for a {name} in paths, which each connection then says: lists below it become streams.",
        ),
    ] = None,
    into: Into = CONNECTORS,
) -> None:
    """Write a manifest from an OpenAPI document: its lists become streams, and what is guessed is marked for review.

    Example: headrace connector from-openapi openapi.json --name shop
    """
    from scheduler.connectors.kit.first import setting_names  # noqa: PLC0415
    from scheduler.connectors.kit.openapi import sketch_of  # noqa: PLC0415
    from scheduler.connectors.kit.reading import read_openapi  # noqa: PLC0415
    from scheduler.connectors.kit.writing import name_of  # noqa: PLC0415

    command_settings()
    document = read_openapi(file)
    name = name or name_of(str((document.get("info") or {}).get("title") or Path(file).stem))[:31]
    folder = _new_folder(into, name, "--name")
    said = {
        setting_names(f"{{{each}}}").strip("{}"): value for each, value in pairs(setting, "--setting").items()
    }
    sketch = sketch_of(document, name, places=[*said], seen_at=file)
    if unknown := [each for each in said if each not in sketch.settings]:
        raise InvalidInput("bad_setting", f"No list has {{{unknown[0]}}} in its path.", place="--setting")
    if not sketch.streams:
        below = sketch.left_out[0] if sketch.left_out else ""
        hint = below or "A list is a GET whose answer holds an array of objects."
        raise InvalidInput(
            "no_streams", "The document describes no list that could be read.", place=file, hint=hint
        )
    _write(sketch, folder, _Account(said))


def _new_folder(into: Path, name: str, place: str) -> Path:
    from scheduler.connectors.kit.writing import is_name, name_of  # noqa: PLC0415

    folder = into / name
    if not is_name(name):
        hint = f"Such as {name_of(name)[:31]}."
        raise InvalidInput("bad_name", f"{name!r} can't be a system's name.", place=place, hint=hint)
    if folder.exists():
        hint = "Choose another name." if place == "NAME" else "Choose another --name."
        raise InvalidInput("folder_exists", "There is such a folder already.", place=str(folder), hint=hint)
    return folder


def _values(settings: Sequence[str], given: Mapping[str, str], *, needed: bool) -> dict[str, str]:
    """What the names in { } are for the look, asked for where somebody is there to be asked."""
    if unknown := [name for name in given if name not in settings]:
        hint = (
            f"The path names {', '.join(settings)}." if settings else "Such as --path '/sites/{site}/orders'."
        )
        raise InvalidInput(
            "bad_setting", f"Nothing has {{{unknown[0]}}} in it.", place="--setting", hint=hint
        )
    lacking = [name for name in settings if name not in given]
    if lacking and needed and not sys.stdin.isatty():
        hint = f"Give --setting {lacking[0]}=VALUE."
        raise InvalidInput("not_told", f"What is {lacking[0]}? It wasn't said.", place="--setting", hint=hint)
    asked = {name: str(typer.prompt(f"What is {name}?")).strip() for name in lacking} if needed else {}
    return {**given, **asked}


def _check_references(given: Mapping[str, str], needed: Sequence[str]) -> None:
    """All that the log-in needs, or nothing: then nobody is asked."""
    wrong = [name for name in given if name not in needed]
    lacking = [name for name in needed if name not in given] if given else []
    if wrong or lacking:
        said = (
            f"There is no secret {wrong[0]!r} in this way of logging in."
            if wrong
            else f"The secret {lacking[0]!r} is missing."
        )
        hint = f"It needs: {', '.join(needed) or 'none'}, each as --secret NAME=REFERENCE."
        raise InvalidInput("bad_secret", said, place="--secret", hint=hint)


def _look(sketch: "Sketch", stream: str, first: "First", given: _Account) -> None:
    """Ask for the list once, and guess by what comes."""
    from scheduler.connectors.kit.first import after_guess  # noqa: PLC0415
    from scheduler.connectors.kit.guessing import guess  # noqa: PLC0415 - brings the means to send
    from scheduler.connectors.kit.live import live, shown  # noqa: PLC0415
    from scheduler.connectors.kit.writing import manifest_of, with_guess  # noqa: PLC0415
    from worker.connectors.connector import ManifestConnector  # noqa: PLC0415
    from worker.connectors.contract import Window  # noqa: PLC0415

    connector = ManifestConnector(manifest_of(sketch))
    try:
        with live(connector, given.settings, given.secrets) as account:
            try:
                answer = account.send(account.source.stream(stream).request(Window(), None), stream)
            finally:
                for one in account.tracing.exchanges:
                    for line in shown(one):
                        note(line)
    except HeadraceError as exc:
        note(f"The system was asked, and nothing is guessed: {exc.message}")
        return
    found = guess(answer.body, answer.headers, first.path, [*first.params])
    if found is None:
        note("The answer holds no list of objects, so nothing is guessed.")
        return
    params, paging = after_guess(first.params, found.stream.get("paging", {}))
    path = {"path": found.stream.pop("path"), **({"params": params} if params else {})}
    guessed = {**path, **found.stream, **({"paging": paging} if paging else {})}
    before = sketch.streams[stream], sketch.remarks[stream]
    with_guess(sketch, stream, guessed, found.remarks)
    try:
        manifest_of(sketch)
    except HeadraceError as exc:
        with_guess(sketch, stream, *before)
        note(f"What was guessed would be wrong, so nothing is: {exc.message}")
        return
    note(f"{stream}: {counted(found.rows, 'record')} came, with these fields: {', '.join(found.fields)}")


def _write(sketch: "Sketch", folder: Path, given: _Account) -> None:
    from scheduler.connectors.kit.writing import (  # noqa: PLC0415
        REVIEW,
        manifest_of,
        manifest_text,
        readme_text,
        secret_names,
    )

    manifest_of(sketch)
    text = manifest_text(sketch)
    path = folder / "manifest.yaml"
    folder.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    (folder / "README.md").write_text(readme_text(sketch), encoding="utf-8")
    stream = next(iter(sketch.streams))
    account = "".join(f" --setting {name}={quote(given.settings.get(name, '…'))}" for name in sketch.settings)
    account += "".join(
        f" --secret {name}={given.secrets.get(name, f'env://{sketch.system.upper()}_{name.upper()}')}"
        for name in secret_names(sketch.auth)
    )
    say(
        f"{path} is written. Streams: {len(sketch.streams)}; places marked REVIEW: {text.count(REVIEW)}. Next:"
    )
    say(f"  headrace connector try {folder} {stream} --limit 5{account}")
    say(f"  headrace connector check {folder}")
    say(f"  HEADRACE_CONNECTORS={folder.parent} headrace connect {sketch.system}")


def _ask(question: str, usual: str) -> str:
    if not sys.stdin.isatty():
        hint = "Without a terminal nothing can be asked: give --title, --base-url, --auth and --path."
        raise InvalidInput("not_told", f"{question} It wasn't said.", hint=hint)
    return str(typer.prompt(question, default=usual)).strip()
