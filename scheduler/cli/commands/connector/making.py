"""`headrace connector new` and `from-openapi`: a first manifest that is valid and runs."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from scheduler.cli.output import note, say
from scheduler.cli.session import command_settings
from worker.errors import HeadraceError, InvalidInput

if TYPE_CHECKING:
    from scheduler.connectors.kit.writing import Sketch

Into = Annotated[Path, typer.Option("--into", help="The folder of your connectors.")]
CONNECTORS = Path("connectors")


def new(
    name: Annotated[str, typer.Argument(help="What the system is called: lower case letters, digits and _.")],
    *,
    title: Annotated[str, typer.Option(help="The system's name for people.")] = "",
    base_url: Annotated[
        str, typer.Option(help="Where its API begins, such as https://api.example.com/v1.")
    ] = "",
    auth: Annotated[str, typer.Option(help="none, bearer, basic, or header:NAME.")] = "",
    path: Annotated[str, typer.Option(help="A first list to read, such as /orders.")] = "",
    secret: Annotated[
        list[str] | None,
        typer.Option(
            "--secret", help="NAME=REFERENCE, such as token=env://SHOP_TOKEN: has a look at the list."
        ),
    ] = None,
    into: Into = CONNECTORS,
) -> None:
    """Write a first manifest for a system of your own. Asks what it isn't told; with a secret it looks at an answer and guesses.

    Example: headrace connector new shop --base-url https://api.shop.example/v1 --path /orders --secret token=env://SHOP_TOKEN
    """
    from scheduler.cli.commands.connector.account import pairs  # noqa: PLC0415
    from scheduler.connectors.kit.writing import Sketch, is_name, name_of, secret_names, with_guess  # noqa: PLC0415

    command_settings()
    folder = into / name
    if not is_name(name):
        hint = f"Such as {name_of(name)[:31]}."
        raise InvalidInput("bad_name", f"{name!r} can't be a system's name.", place="NAME", hint=hint)
    if folder.exists():
        raise InvalidInput(
            "folder_exists", "There is such a folder already.", place=str(folder), hint="Choose another name."
        )
    title = title or _ask("What is the system called?", name.replace("_", " ").capitalize())
    base_url = (base_url or _ask("Where does its API begin?", "https://api.example.com/v1")).rstrip("/")
    if urlsplit(base_url).scheme not in {"http", "https"} or not urlsplit(base_url).netloc:
        raise InvalidInput("bad_value", "It must be like https://host/path.", place="--base-url")
    auth = auth or _ask("How does one log in? none, bearer, basic or header:NAME", "bearer")
    if auth.partition(":")[0] not in {"none", "bearer", "basic", "header"}:
        raise InvalidInput("bad_value", "It is none, bearer, basic or header:NAME.", place="--auth")
    path = path or _ask("Which list is read first?", "/records")
    path = path if path.startswith("/") else f"/{path}"
    references = pairs(secret, "--secret")
    _check_references(references, secret_names(auth))
    sketch = Sketch(name, title, base_url, auth)
    stream = name_of(path.strip("/").split("/")[-1])
    remarks = {"records": "Where does an answer hold its list, and which field names a record?"}
    with_guess(sketch, stream, {"path": path, "records": "data", "key": "id"}, remarks)
    if references or auth == "none":
        _look(sketch, stream, path, references)
    _write(sketch, folder, references)


def from_openapi(
    file: Annotated[Path, typer.Argument(help="An OpenAPI 3 or Swagger 2 document, JSON or YAML.")],
    *,
    name: Annotated[str, typer.Option(help="What the system is called. Left out: as its title.")] = "",
    into: Into = CONNECTORS,
) -> None:
    """Write a manifest from an OpenAPI document: its lists become streams, and what is guessed is marked for review.

    Example: headrace connector from-openapi openapi.json --name shop
    """
    from scheduler.connectors.kit.openapi import sketch_of  # noqa: PLC0415
    from scheduler.connectors.kit.reading import read_openapi  # noqa: PLC0415
    from scheduler.connectors.kit.writing import is_name, name_of  # noqa: PLC0415

    command_settings()
    document = read_openapi(file)
    name = name or name_of(str((document.get("info") or {}).get("title") or file.stem))[:31]
    if not is_name(name):
        raise InvalidInput("bad_name", f"{name!r} can't be a system's name.", place="--name")
    folder = into / name
    if folder.exists():
        raise InvalidInput(
            "folder_exists",
            "There is such a folder already.",
            place=str(folder),
            hint="Choose another --name.",
        )
    sketch = sketch_of(document, name)
    if not sketch.streams:
        hint = "A list is a GET without {places} in its path whose answer holds an array of objects."
        raise InvalidInput(
            "no_streams", "The document describes no list that could be read.", place=str(file), hint=hint
        )
    _write(sketch, folder)


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


def _look(sketch: "Sketch", stream: str, path: str, references: dict[str, str]) -> None:
    """Ask for the list once, and guess by what comes."""
    from scheduler.connectors.kit.guessing import guess  # noqa: PLC0415 - brings the means to send
    from scheduler.connectors.kit.live import live, shown  # noqa: PLC0415
    from scheduler.connectors.kit.writing import manifest_text, with_guess  # noqa: PLC0415
    from worker.connectors.connector import ManifestConnector  # noqa: PLC0415
    from worker.connectors.contract import Window  # noqa: PLC0415
    from worker.connectors.manifest.model import manifest_in  # noqa: PLC0415
    from worker.parsing.documents import read_document  # noqa: PLC0415

    connector = ManifestConnector(manifest_in(read_document(manifest_text(sketch).encode(), "manifest.yaml")))
    try:
        with live(connector, {}, references) as account:
            try:
                answer = account.send(account.source.stream(stream).request(Window(), None), stream)
            finally:
                for one in account.tracing.exchanges:
                    for line in shown(one):
                        note(line)
    except HeadraceError as exc:
        note(f"The system was asked, and nothing is guessed: {exc.message}")
        return
    found = guess(answer.body, answer.headers, path)
    if found is None:
        note("The answer holds no list of objects, so nothing is guessed.")
        return
    with_guess(sketch, stream, found.stream, found.remarks)
    note(f"{found.rows} records came, with these fields: {', '.join(found.fields)}")


def _write(sketch: "Sketch", folder: Path, given: Mapping[str, str] | None = None) -> None:
    from scheduler.connectors.kit.writing import REVIEW, manifest_text, readme_text, secret_names  # noqa: PLC0415
    from worker.connectors.manifest.model import manifest_in  # noqa: PLC0415
    from worker.parsing.documents import read_document  # noqa: PLC0415

    text = manifest_text(sketch)
    path = folder / "manifest.yaml"
    manifest_in(read_document(text.encode(), str(path)))
    folder.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    (folder / "README.md").write_text(readme_text(sketch), encoding="utf-8")
    stream = next(iter(sketch.streams))
    secrets = "".join(
        f" --secret {name}={(given or {}).get(name, f'env://{sketch.system.upper()}_{name.upper()}')}"
        for name in secret_names(sketch.auth)
    )
    say(
        f"{path} is written. Streams: {len(sketch.streams)}; places marked REVIEW: {text.count(REVIEW)}. Next:"
    )
    say(f"  headrace connector try {folder} {stream} --limit 5{secrets}")
    say(f"  headrace connector check {folder}")
    say(f"  HEADRACE_CONNECTORS={folder.parent} headrace connect {sketch.system}")


def _ask(question: str, usual: str) -> str:
    if not sys.stdin.isatty():
        hint = "Without a terminal nothing can be asked: give --title, --base-url, --auth and --path."
        raise InvalidInput("not_told", f"{question} It wasn't said.", hint=hint)
    return str(typer.prompt(question, default=usual)).strip()
