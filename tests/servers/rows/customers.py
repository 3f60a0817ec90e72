"""Two customers in one installation, and tokens that see some of it: whatever is listed, each of four connections has some.

acme    live, of the tenant acme, region north
brick   live, of the tenant brick, region south
own     live, of no tenant
trial   test, of the tenant acme
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from servers.installation.application import Application

from scheduler.access.audit import COMMAND_LINE
from scheduler.access.issuing.grants import Grant
from scheduler.access.issuing.issue import issue
from scheduler.access.principal import Scope
from worker.db.database import Database

CONNECTIONS = {
    "acme": ("live", "acme", {"region": "north"}),
    "brick": ("live", "brick", {"region": "south"}),
    "own": ("live", None, {}),
    "trial": ("test", "acme", {"region": "north"}),
}
"""By name: environment, tenant, labels."""
STREAM = "orders"

_CONNECTION = """
INSERT INTO connections (name, environment, system, tenant, labels, settings)
VALUES (%(name)s, %(environment)s, 'demo', %(tenant)s, %(labels)s, '{"base_url": "http://127.0.0.1:9"}') RETURNING id
"""
_STREAM = """
INSERT INTO streams (connection_id, name, bucket, schedule, fuse)
VALUES (%(id)s, 'orders', %(id)s %% 32, '{"every": 900}',
        '{"number": 1, "count": 1, "kind": "sweep", "held": 1}') RETURNING id
"""
_ROWS = (
    """INSERT INTO runs (stream_id, connection_id, queue, account, track, lane, cause, request_id)
       VALUES (%(stream)s, %(id)s, 'sync.demo', 'a', 'live', 3, 'schedule', 'r')""",
    """INSERT INTO run_history (id, uneventful, stream_id, connection_id, queue, track, scope, lane, cause, state, claim_no,
                                attempt, request_id, created_at, pages, records_read, records_created, records_updated,
                                records_deleted, records_refused, records_rejected)
       VALUES (headrace_uuid7(), false, %(stream)s, %(id)s, 'sync.demo', 'live', '{}', 3, 'schedule', 'succeeded', 1, 1,
               'r', now(), 1, 1, 1, 0, 0, 0, 0)""",
    """INSERT INTO records (bucket, stream_id, key, raw, content_hash, observed_at, first_seen_at, cause_kind, cause_id,
                            change_kind)
       VALUES (%(id)s %% 32, %(stream)s, 'WO-1', %(raw)s, gen_random_uuid(), now(), now(), 'run', gen_random_uuid(),
               'created')""",
    """INSERT INTO quarantine (stream_id, content_hash, key, code, reason, raw, run_id, page)
       VALUES (%(stream)s, gen_random_uuid(), 'WO-2', 'bad_key', 'no key', '{}', gen_random_uuid(), 1)""",
    """INSERT INTO stream_fields (stream_id, path, types) VALUES (%(stream)s, '{name}', '{text}')""",
    """INSERT INTO suspects (stream_id, key, suspected_at, evidence_at, generation, reason, fuse)
       VALUES (%(stream)s, 'WO-1', now(), now(), 1, 'sweep', 1)""",
    """INSERT INTO verifications (run_id, stream_id, started_at, methods, scope, allowance, requests, checked, copy_records,
                                  missing, extra, different, pending, repaired, proven, words)
       VALUES (headrace_uuid7(), %(stream)s, now(), '{complete}', '{}', 1, 1, 1, 1, 0, 0, 0, 0, 0, true, 'equal')""",
)


@dataclass
class Customers:
    """The four, by name: the numbers of their connections and streams."""

    database: Database
    whole: Application
    connections: dict[str, int] = field(default_factory=dict)
    streams: dict[str, int] = field(default_factory=dict)

    def token(
        self,
        environment: str = "live",
        *,
        tenants: Sequence[str] | None = None,
        connections: Sequence[str] | None = None,
        scopes: Sequence[Scope] = (Scope.ADMIN,),
        name: str = "t",
        **more: Any,
    ) -> str:
        """A token with these limits; connections by their names here."""
        ids = None if connections is None else frozenset(self.connections[each] for each in connections)
        limits = {limit: tuple(value) if isinstance(value, list) else value for limit, value in more.items()}
        seen = None if tenants is None else frozenset(tenants)
        grant = Grant(environment, frozenset(scopes), connections=ids, tenants=seen, **limits)
        return issue(self.database, COMMAND_LINE, None, name=name, owner=name, grant=grant).token

    def api(self, environment: str = "live", **limits: Any) -> Application:
        """What the API is for whoever has such a token."""
        return self.whole.shown(self.token(environment, **limits))

    def write(self, name: str, value: Any = 1) -> None:
        """Change the record of a connection."""
        self.database.run(
            "UPDATE records SET raw = %(raw)s, change_kind = 'updated', observed_at = now(),"
            " change_xid = pg_current_xact_id(), change_seq = nextval('record_change_seq') WHERE stream_id = %(stream)s",
            {"raw": _raw(name, value), "stream": self.streams[name]},
        )


def new_customers(database: Database) -> Customers:
    """All of it, in a database without connections."""
    made = Customers(database, Application(database))
    for name, what in CONNECTIONS.items():
        add_connection(made, name, *what)
    return made


def add_connection(
    customers: Customers, name: str, environment: str, tenant: str | None, labels: dict[str, str]
) -> None:
    """One more, with a row in every table that is listed."""
    with customers.database.transaction() as tx:
        params = {"name": name, "environment": environment, "tenant": tenant, "labels": json.dumps(labels)}
        connection = tx.execute(_CONNECTION, params).fetchone()
        assert connection is not None
        stream = tx.execute(_STREAM, connection).fetchone()
        assert stream is not None
        for statement in _ROWS:
            tx.execute(statement, {**connection, "stream": stream["id"], "raw": _raw(name, 1)})
    customers.connections[name] = connection["id"]
    customers.streams[name] = stream["id"]


def _raw(name: str, value: Any) -> str:
    return json.dumps({"id": "WO-1", "of": name, "value": value})


def make_token(api: Application, **body: Any) -> dict[str, Any]:
    """What the API shows of a token that was just made."""
    answer = api.post("/v1/tokens", {"name": "t", "scopes": ["read"]} | body)
    assert answer.status_code == 201, answer.text
    shown: dict[str, Any] = answer.json()
    return shown
