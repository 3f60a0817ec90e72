"""Which of an exchange may stand in a file beside a manifest? What is left when secrets, people and hosts are taken out.

Values that look like somebody's (mails, names of fields that hold such, telephone numbers) become made-up ones of the same
kind, the same each time, so that what belongs together still does. Whoever records looks at the file before it is shared.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from scheduler.connectors.check.recorded import FOLDER
from scheduler.connectors.kit.live import PROOF, TELLING, UNSHOWN, Exchanged
from worker.telemetry.redaction import redactor

HOST = "system.example.com"
FEW = 5
"""Records that are kept of a page."""
_MAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")
_PERSON = re.compile(
    r"(^|[._])(assignee|owner|user|author|creator|requester|contact|customer|employee|person|who|by)s?($|[._])",
    re.IGNORECASE,
)
_PHONE = re.compile(r"(?<![\w+])\+\d[\d ()/-]{6,}\d")
_IN_ADDRESS = re.compile(
    r"([?&](?:token|key|sig|signature|secret|password|api_?key|access_token)=)[^&\s\"]+", re.IGNORECASE
)
SHORTEST = 4
"""Shorter values are found in other words by chance."""
_SOMEBODY = re.compile(
    r"(first|last|full|given|family|sur)_?name|e?mail|phone|mobile|fax|address|street|iban|tax_?id|vat|password|secret|token|api_?key",
    re.IGNORECASE,
)


def recorded(one: Exchanged, records: tuple[str, ...]) -> dict[str, Any]:
    """The exchange as it may be kept; of its list, the first few records."""
    home = urlsplit(one.url)
    return {
        "request": {
            "method": one.method,
            "url": _elsewhere(redactor.redact(one.url), home.netloc),
            "headers": _headers(one.sent),
            "body": _body(one.body, home.netloc, ()),
        },
        "response": {
            "status": one.status,
            "headers": _headers(
                {
                    name: value.replace(home.netloc, HOST)
                    for name, value in one.got.items()
                    if name.lower() == "content-type" or any(word in name.lower() for word in TELLING)
                }
            ),
            "body": _body(one.answer, home.netloc, records),
        },
    }


def write(folder: Path, name: str, exchange: Mapping[str, Any]) -> Path:
    """Into `recorded/` beside the manifest."""
    path = folder / FOLDER / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(exchange, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _headers(headers: Mapping[str, str]) -> dict[str, str]:
    left_out = UNSHOWN | PROOF
    return {name: redactor.redact(value) for name, value in headers.items() if name.lower() not in left_out}


def _body(body: bytes, host: str, records: tuple[str, ...]) -> Any:
    if not body:
        return None
    text = redactor.redact(body.decode("utf-8", "replace")).replace(host, HOST)
    try:
        data = json.loads(text)
    except ValueError:
        return _MAIL.sub(lambda found: _made_up("mail", found[0]), text)
    return scrubbed(_shortened(data, records))


def _shortened(data: Any, records: tuple[str, ...]) -> Any:
    if not records:
        return data[:FEW] if isinstance(data, list) else data
    if isinstance(data, dict) and records[0] in data:
        return {**data, records[0]: _shortened(data[records[0]], records[1:])}
    return data


def scrubbed(data: Any) -> Any:
    """The same with made-up values where somebody's stood, also where they stand again in another text."""
    known: dict[str, str] = {}
    return _replaced(_without_people(data, "", known), known)


def _without_people(data: Any, name: str, known: dict[str, str]) -> Any:
    if isinstance(data, dict):
        inside = f"{name}." if _PERSON.search(name) else ""
        return {key: _without_people(value, inside + str(key), known) for key, value in data.items()}
    if isinstance(data, list):
        return [_without_people(value, name, known) for value in data]
    if not isinstance(data, str) or not data:
        return data
    whose = _SOMEBODY.search(name) or (
        _PERSON.search(name) and not name.endswith((".id", "_id", "Id", ".type"))
    )
    if whose and not _MAIL.fullmatch(data):
        known[data] = _made_up(name.rpartition(".")[2], data)
        return known[data]
    return _plain(data)


def _plain(text: str) -> str:
    text = _MAIL.sub(lambda found: _made_up("mail", found[0]), text)
    text = _PHONE.sub(lambda found: _made_up("phone", found[0]), text)
    return _IN_ADDRESS.sub(lambda found: found[1] + "…", text)


def _replaced(data: Any, known: dict[str, str]) -> Any:
    if isinstance(data, dict):
        return {key: _replaced(value, known) for key, value in data.items()}
    if isinstance(data, list):
        return [_replaced(value, known) for value in data]
    if isinstance(data, str):
        for value, instead in known.items():
            if len(value) >= SHORTEST and value in data:
                data = data.replace(value, instead)
    return data


def _made_up(kind: str, value: str) -> str:
    digest = hashlib.sha256(value.encode()).hexdigest()
    if kind == "mail":
        return f"person-{digest[:6]}@example.com"
    if re.fullmatch(r"[+()\d\s./-]+", value):
        return "+1 555 " + str(int(digest[:8], 16))[:4].zfill(4)
    return f"{kind}-{digest[:6]}"


def _elsewhere(url: str, host: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(scheme="https", netloc=HOST)) if parts.netloc == host else url
