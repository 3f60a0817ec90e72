"""An installation with very much in every table that is listed, made by Postgres itself.

What is spread as it is in life: a connection in a hundred is for tests, a customer has some sixty, most runs change nothing,
what failed, drifted or is held is rare, and the newest events still wait.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from worker.db.database import Database

CHUNK = 500_000


@dataclass(frozen=True, slots=True)
class Much:
    """How many rows."""

    connections: int = 100_000
    runs: int = 10_000_000
    events: int = 2_000_000
    acts: int = 1_000_000
    refusals: int = 200_000
    records: int = 1_000_000

    @property
    def streams(self) -> int:
        return self.connections * 2


_ID = (
    "(lpad(to_hex((extract(epoch FROM {at}) * 1000)::bigint), 12, '0') || '7' || substr(md5({n}::text), 1, 3) || '8'"
    " || substr(md5({n}::text), 4, 15))::uuid"
)
"""A UUIDv7 of that time, the same each time."""

_CONNECTIONS = """
INSERT INTO connections (name, environment, system, tenant, labels, settings)
SELECT 'conn-' || lpad(n::text, 6, '0'), CASE WHEN n % 100 = 7 THEN 'test' ELSE 'live' END, 'demo',
       CASE WHEN n % 3 = 0 THEN 'tenant-' || n / 3 % (1 + {connections} / 200) END,
       CASE WHEN n % 4 = 0 THEN '{{"region": "north"}}' WHEN n % 4 = 1 THEN '{{"region": "south"}}' ELSE '{{}}' END::jsonb,
       '{{"base_url": "http://127.0.0.1:9"}}'
  FROM generate_series(1, {connections}) n ORDER BY n
"""
_STREAMS = """
INSERT INTO streams (connection_id, name, bucket, schedule, fuse)
SELECT (n + 1) / 2, CASE WHEN n % 2 = 0 THEN 'parts' ELSE 'orders' END, n % 32, '{{"every": 900}}',
       CASE WHEN n % 2000 = 1 THEN '{{"number": 1, "count": 1, "kind": "sweep", "held": 1}}'::jsonb END
  FROM generate_series(1, {streams}) n ORDER BY n
"""
_RUNS = """
INSERT INTO run_history (id, uneventful, stream_id, connection_id, queue, track, scope, lane, cause, state, claim_no, attempt,
                         worker, request_id, created_at, started_at, finished_at, pages, records_read, records_created,
                         records_updated, records_deleted, records_refused, records_rejected, error_code, error)
SELECT {id}, n % 10 <> 0, s, (s + 1) / 2, 'sync.demo', 'live', '{{}}', 3, 'schedule',
       CASE WHEN n % 100 = 0 THEN 'failed' WHEN n % 250 = 10 THEN 'partial' ELSE 'succeeded' END, 1, 0, 'host:1', 'r-' || n,
       at, at, at, 1, 10, CASE WHEN n % 10 = 0 THEN 3 ELSE 0 END, 0, 0, 0, 0,
       CASE WHEN n % 100 = 0 THEN 'refused' END, CASE WHEN n % 100 = 0 THEN 'The system answered 401.' END
  FROM (SELECT n, 1 + (n::bigint * 7919) % {streams} AS s, now() - interval '3 days' * ({runs} - n) / {runs} AS at
          FROM generate_series({low}, {high}) n) g
"""
_OPEN_RUNS = """
INSERT INTO runs (stream_id, connection_id, queue, account, track, lane, cause, request_id)
SELECT n, (n + 1) / 2, 'sync.demo', 'a' || n, 'live', 3, 'schedule', 'r' FROM generate_series(1, {streams}, 10) n
"""
_EVENTS = """
INSERT INTO events (id, connection_id, stream_id, kind, key, type, event_key, received_at, request_id, state, attempts,
                    outcome, error, done_at)
SELECT {id}, (s + 1) / 2, s, 'record', 'K-' || n % 1000, 'changed', n::text, at, 'w-' || n,
       CASE WHEN n > {events} - {events} / 1000 THEN 'pending' WHEN n % 500 = 0 THEN 'failed' ELSE 'done' END, 1,
       CASE WHEN n % 500 = 0 THEN 'failed' ELSE 'updated' END, CASE WHEN n % 500 = 0 THEN 'It answered 500.' END, at
  FROM (SELECT n, 1 + (n::bigint * 7919) % (1 + {streams} / 5) AS s, now() - interval '7 days' * ({events} - n) / {events} AS at
          FROM generate_series({low}, {high}) n) g
"""
_REFUSALS = """
INSERT INTO webhook_refusals (id, connection_id, name, reason, words, request_id)
SELECT {id}, CASE WHEN n % 5 <> 0 THEN 1 + (n::bigint * 7919) % (1 + {connections} / 5) END, 'conn', 'bad_signature', 'No.', 'w'
  FROM (SELECT n, now() - interval '2 days' * ({refusals} - n) / {refusals} AS at FROM generate_series(1, {refusals}) n) g
"""
_ACTS = """
INSERT INTO audit (id, at, actor, token_id, environment, tenant, action, target, connection_id, request_id)
SELECT {id}, at, 'owner-' || n % 500, ('00000000-0000-7000-8000-' || lpad((n % 1000)::text, 12, '0'))::uuid, c.environment,
       c.tenant, CASE WHEN n % 5000 = 0 THEN 'token.create' WHEN n % 50 = 0 THEN 'connection.change' ELSE 'sync.request' END,
       c.name, c.id, 'r-' || n
  FROM (SELECT n, 1 + (n::bigint * 7919) % {connections} AS of, now() - interval '90 days' * ({acts} - n) / {acts} AS at
          FROM generate_series({low}, {high}) n) g JOIN connections c ON c.id = g.of
"""
_RECORDS = """
INSERT INTO records (bucket, stream_id, key, raw, content_hash, observed_at, first_seen_at, cause_kind, cause_id, change_kind,
                     deleted_at, delete_reason)
SELECT s % 32, s, 'K-' || lpad(n::text, 8, '0'), '{{"id": 1}}', md5(n::text)::uuid, now(), now(), 'run', md5(n::text)::uuid,
       CASE WHEN n % 50 = 0 THEN 'deleted' ELSE 'created' END, CASE WHEN n % 50 = 0 THEN now() END,
       CASE WHEN n % 50 = 0 THEN 'sweep' END
  FROM (SELECT n, 1 + n::bigint * 7919 % (1 + {streams} / 100) AS s FROM generate_series({low}, {high}) n) g
"""
_MORE = (
    """
INSERT INTO stream_fields (stream_id, path, types, state, accepted_at, changed_at)
SELECT s, ARRAY['field_' || f], '{{text}}', CASE WHEN s % 100 = 0 AND f < 3 THEN 'new' ELSE 'known' END,
       NULL, now() - interval '1 day'
  FROM generate_series(1, {streams}) s, generate_series(1, 10) f
""",
    """
INSERT INTO quarantine (stream_id, content_hash, key, code, reason, raw, run_id, page)
SELECT s * 50, md5(s || '-' || n)::uuid, 'K-' || n, CASE WHEN n % 9 = 0 THEN 'bad_time' ELSE 'bad_key' END, 'no key', '{{}}',
       gen_random_uuid(), 1
  FROM generate_series(1, {streams} / 50) s, generate_series(1, 50) n
""",
    """
INSERT INTO suspects (stream_id, key, suspected_at, evidence_at, generation, reason, fuse)
SELECT s, 'K-' || lpad(n::text, 8, '0'), now(), now(), 1, 'sweep', CASE WHEN n % 2 = 0 THEN 1 END
  FROM generate_series(1, {streams}, 2000) s, generate_series(1, 1000) n
""",
    """
INSERT INTO verifications (run_id, stream_id, started_at, methods, scope, allowance, requests, checked, copy_records, missing,
                           extra, different, pending, repaired, proven, words)
SELECT headrace_uuid7(), 1 + n % {streams}, now(), '{{complete}}', '{{}}', 1, 1, 1, 1, 0, 0, 0, 0, 0, true, 'equal'
  FROM generate_series(1, {streams} * 2) n
""",
    """
INSERT INTO tokens (name, owner, environment, scopes, digest, ending, tenants, revoked_at)
SELECT 't-' || n, 'owner-' || n % 500, CASE WHEN n % 10 = 0 THEN 'test' ELSE 'live' END, '{{read}}', sha256(n::text::bytea),
       'abcd', CASE WHEN n % 3 = 0 THEN ARRAY['tenant-' || n % (1 + {connections} / 200)] END,
       CASE WHEN n % 2 = 0 THEN now() END
  FROM generate_series(1, {connections} / 5) n
""",
    """
INSERT INTO connect_links (digest, environment, system, name, tenant, store, expires_at)
SELECT sha256(n::text::bytea), 'live', 'demo', 'new-' || n, 'tenant-' || n % (1 + {connections} / 200), 'env://X', now()
  FROM generate_series(1, {connections} / 5) n
""",
    """
INSERT INTO webhook_counts (connection_id, stream_id, day, received, told, missed)
SELECT c, c * 2, current_date - d, 100, 90, 10 FROM generate_series(1, {connections} / 5) c, generate_series(0, 29) d
""",
    """
INSERT INTO webhook_registrations (connection_id, state, url, next_at)
SELECT c, 'active', 'https://headrace.test/webhooks/' || c, now() + interval '1 hour'
  FROM generate_series(1, {connections} / 5) c
""",
    """
INSERT INTO subscriptions (name, url, secret, position, environment)
SELECT 'sub-' || n, 'https://taker.test/', 'env://S', '1.0.0', 'live' FROM generate_series(1, {connections} / 100) n
""",
    """
INSERT INTO feed_consumers (name, position, environment)
SELECT 'reader-' || n, '1.0.0', 'live' FROM generate_series(1, {connections} / 100) n
""",
)


def fill(database: Database, much: Much) -> Iterator[str]:
    """Fill an empty database, piece by piece; each is named before it is made. Ends with fresh statistics."""
    names = {name: getattr(much, name) for name in (*Much.__dataclass_fields__, "streams")}
    whole = [_CONNECTIONS, _STREAMS, _OPEN_RUNS, _REFUSALS, *_MORE]
    parted = [(_RUNS, much.runs), (_EVENTS, much.events), (_ACTS, much.acts), (_RECORDS, much.records)]
    told = _ID.format(at="at", n="n")
    pieces = [text.format(**names, id=told) for text in whole]
    pieces += [
        text.format(**names, id=told, low=low, high=min(low + CHUNK - 1, rows))
        for text, rows in parted
        for low in range(1, rows + 1, CHUNK)
    ]
    for piece in pieces:
        yield " ".join(piece.split())[:60]
        with database.transaction() as tx:
            tx.execute("SET LOCAL synchronous_commit = off")
            tx.execute(piece.encode())
    yield "VACUUM ANALYZE"
    database.run("VACUUM ANALYZE")
