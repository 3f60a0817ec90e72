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
from scheduler.connectors.kit.live import PROOF, UNSHOWN, Exchanged
from worker.telemetry.redaction import redactor

HOST = "system.example.com"
FEW = 5
"""Records that are kept of a page."""
_MAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")
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
                {name: one.got[name] for name in one.got if name.lower() in {"content-type", "link"}}
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


def scrubbed(data: Any, name: str = "") -> Any:
    """The same with made-up values where somebody's stood."""
    if isinstance(data, dict):
        return {key: scrubbed(value, str(key)) for key, value in data.items()}
    if isinstance(data, list):
        return [scrubbed(value, name) for value in data]
    if not isinstance(data, str) or not data:
        return data
    if _SOMEBODY.search(name) and not _MAIL.fullmatch(data):
        return _made_up(name, data)
    return _MAIL.sub(lambda found: _made_up("mail", found[0]), data)


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
