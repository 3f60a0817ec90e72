"""What does a document of OpenAPI hold? JSON or YAML by whoever wrote it, larger than a manifest and with anchors: read as data.

From a file, or from an address, which is asked without a secret.
"""

from pathlib import Path
from typing import Any

import httpx
import yaml

from scheduler.connectors.kit.first import without_user
from worker.errors import InvalidInput, Transient
from worker.http.network.tls import trusted

LARGEST = 50 * 1024 * 1024
TIMEOUT = 30.0
_FINE = 200
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_openapi(source: str) -> dict[str, Any]:
    """The document at a path or an address; `InvalidInput` with the place for what can't be read."""
    content = _fetched(source) if "://" in source else _file(Path(source))
    try:
        data = yaml.load(content, Loader=_Loader)  # noqa: S506 - a safe loader, the fast one where it is there
    except (yaml.YAMLError, RecursionError, UnicodeDecodeError) as exc:
        mark = getattr(exc, "problem_mark", None)
        place = f"{source}:{mark.line + 1}" if mark else source
        if content.lstrip()[:1] == "<":
            hint = (
                "Such pages load a document of JSON or YAML, often openapi.json or swagger.json beside them."
            )
            raise InvalidInput("not_openapi", "It is a web page, or XML.", place=source, hint=hint) from None
        raise InvalidInput("bad_yaml", "The file is neither JSON nor YAML.", place=place) from None
    if not isinstance(data, dict):
        raise InvalidInput("not_openapi", "The file holds no OpenAPI document.", place=source)
    return data


def _file(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST:
            raise _too_large(str(path))
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidInput("unreadable_file", f"The file can't be read: {exc}.", place=str(path)) from None


def _fetched(address: str) -> str:
    """What stands at an address."""
    if not address.startswith(("http://", "https://")):
        raise InvalidInput("bad_value", "It is a file, or begins with http:// or https://.", place=address)
    if without_user(address) != address:
        message = "An address may hold no user or password: it would be shown, and written into the manifest."
        hint = "Save the document, and give the file."
        raise InvalidInput("plain_secret", message, place=without_user(address), hint=hint)
    try:
        with (
            httpx.Client(timeout=TIMEOUT, follow_redirects=True, verify=trusted()) as client,
            client.stream(
                "GET", address, headers={"accept": "application/json, application/yaml, */*"}
            ) as answer,
        ):
            if answer.status_code != _FINE:
                said = f"{answer.status_code} was answered where the document should be."
                hint = "If it asks for a log-in, save the document, and give the file."
                raise InvalidInput("unreadable_file", said, place=address, hint=hint)
            content = bytearray()
            for piece in answer.iter_bytes():
                content += piece
                if len(content) > LARGEST:
                    raise _too_large(address)
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        raise Transient(
            "unreachable", f"{address} couldn't be read: {str(exc) or type(exc).__name__}."
        ) from None
    return content.decode("utf-8-sig", "replace")


def _too_large(place: str) -> InvalidInput:
    return InvalidInput("file_too_large", f"The file is larger than {LARGEST >> 20} MB.", place=place)
