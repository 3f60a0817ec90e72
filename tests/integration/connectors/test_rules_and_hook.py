"""One whole run of a system with rules for its errors and a hook beside its manifest: ledger, budget, requests and copy are real."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from psycopg.types.json import Jsonb
from pydantic import SecretStr
from servers.systems.inline import InlineRuns
from servers.systems.scripted import Asked, Said, scripted_source

from worker.config import load_settings
from worker.engine.perform import carry_out
from worker.services import Services

pytestmark = pytest.mark.integration

MANIFEST = """\
manifest: 1
system: press
title: Press
protocol: rest
base_url: "{base_url}"
hook: hook.py
settings: {base_url: {required: true, description: Where it lives.}, site: {description: Which., default: north}}
errors:
  rules:
    - {path: state, equals: CLOSED, kind: operator, code: period_closed, words: reason}
    - {path: state, equals: BUSY, kind: transient, words: reason}
streams:
  plates: {path: /plates, records: rows, key: id, paging: {offset: {param: from, limit_param: most, size: 5, stable: true, side_by_side: false}}}
"""
HOOK = """\
from dataclasses import replace
import json
from worker.connectors.contract import BaseHook

CALLS = []

class Hook(BaseHook):
    def request(self, request):
        CALLS.append(("request", request.url))
        return replace(request, headers={**request.headers, "X-Site": self.settings["site"]})

    def response(self, response):
        CALLS.append(("response", response.status))
        return replace(response, body=json.dumps(json.loads(response.body)["envelope"]).encode())
"""


@dataclass
class Press:
    """Twelve plates in envelopes; or, with an answer of 200, a reason why not."""

    reason: dict[str, str] | None = None
    asked: list[Asked] = field(default_factory=list)

    def __call__(self, asked: Asked) -> Said:
        self.asked.append(asked)
        query = {name: int(values[0]) for name, values in parse_qs(urlsplit(asked.path).query).items()}
        begin = query.get("from", 0)
        rows = [{"id": number, "thick": 2.50} for number in range(12)][begin : begin + query["most"]]
        return Said(json.dumps({"envelope": self.reason or {"rows": rows}}).encode())


@dataclass
class Hall(InlineRuns):
    """A connection to it, whose runs are carried out here and now."""

    system: ClassVar = "press"

    services: Services
    press: Press
    connection: int

    def sync(self, stream: int) -> dict[str, Any]:
        run = self.request(stream)
        carry_out(self.services, run)
        return self.outcome(run)


@contextmanager
def _hall(database_url: str, broker_url: str, folder: Path) -> Iterator[Hall]:
    home = folder / "connectors" / "press"
    home.mkdir(parents=True)
    (home / "manifest.yaml").write_text(MANIFEST)
    (home / "hook.py").write_text(HOOK)
    settings = load_settings(
        database_url=SecretStr(database_url), broker_url=SecretStr(broker_url), connectors=[home.parent]
    )
    press = Press()
    with scripted_source(press) as source:
        services = Services.open(settings, name="test")
        row = services.database.one(
            "INSERT INTO connections (name, system, settings) VALUES ('p', 'press', %(s)s) RETURNING id",
            {"s": Jsonb({"base_url": source.base_url, "site": "west"})},
        )
        assert row is not None
        yield Hall(services, press, row["id"])
        services.close()


@pytest.fixture
def hall(database_url: str, broker_url: str, tmp_path: Path) -> Iterator[Hall]:
    with _hall(database_url, broker_url, tmp_path) as found:
        yield found


def hook_module() -> ModuleType:
    (name,) = (name for name in sys.modules if name.startswith("headrace_hooks.press_"))
    return sys.modules[name]


def test_rows_pass_the_hook_and_what_the_system_says_ends_in_the_ledger_by_its_rule(hall: Hall) -> None:
    stream = hall.stream("plates")
    assert hall.sync(stream)["state"] == "succeeded"
    rows = hall.services.database.all("SELECT key, raw FROM records WHERE stream_id = %(s)s", {"s": stream})
    assert {int(row["key"]) for row in rows} == set(range(12))
    calls = hook_module().CALLS
    assert [kind for kind, _ in calls] == ["request", "response"] * 3
    assert len(hall.press.asked) == 3, "the hook has sent nothing of its own"
    assert {asked.headers["x-site"] for asked in hall.press.asked} == {"west"}

    hall.press.reason = {"state": "BUSY", "reason": "Month-end is running."}
    run = hall.sync(stream)
    assert (run["state"], run["wait_reason"], run["error_code"]) == ("queued", "retry", "system_error")
    assert "Month-end is running." in run["error"]

    hall.press.reason = {"state": "CLOSED", "reason": "Period 11 is closed."}
    hall.services.database.run("UPDATE runs SET not_before = now()")
    carry_out(hall.services, run["id"])
    ended = hall.outcome(run["id"])
    assert (ended["state"], ended["error_code"]) == ("failed", "period_closed")
    assert "Period 11 is closed." in ended["error"]
    assert len(hall.press.asked) == len(calls) // 2
