"""Where could a secret be left behind, and in which forms? Everything that a running Headrace writes or shows, as bytes."""

import base64
import html
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
import psutil
import psycopg
import redis
from servers.installation.stack import Stack


def forms(secret: str) -> Mapping[str, bytes]:
    """How it may be written: as it is, for a URL, in JSON, HTML and hex (`bytea`), and in base64 at whatever place in a text."""
    plain = secret.encode()
    found = {
        "plain": plain,
        "for a URL": quote(secret, safe="").encode(),
        "for a form": quote_plus(secret).encode(),
        "in JSON": json.dumps(secret)[1:-1].encode(),
        "in HTML": html.escape(secret).encode(),
        "in hex": plain.hex().encode(),
    }
    for before in range(3):
        # The ends mix with what stands beside it, so only what is certain is looked for.
        whole = base64.b64encode(b"." * before + plain)
        first = -(-before * 4 // 3)
        found[f"in base64 after {before}"] = whole[first : (before + len(plain)) * 4 // 3]
    return found


def leaks(secrets: Mapping[str, str], stores: Mapping[str, bytes]) -> list[str]:
    """What was found where, with what stands around it; the secret itself is not said again."""
    found = []
    for name, secret in secrets.items():
        for form, needle in forms(secret).items():
            for store, content in stores.items():
                at = content.find(needle)
                if at >= 0:
                    around = content[max(0, at - 150) : at] + b"<HERE>" + content[at + len(needle) :][:50]
                    found.append(f"{name} ({form}) in {store}: {around!r}")
    return found


def all_stores(stack: Stack, flower: Mapping[str, bytes]) -> dict[str, bytes]:
    return dict(flower) | {
        **{f"log {path.name}": path.read_bytes() for path in logs(stack.home)},
        **{f"table {name}": content for name, content in tables(stack)},
        "Valkey": b"\n".join(valkey(stack.redis())),
        "arguments of processes": b"\n".join(arguments(stack)),
    }


def logs(home: Path) -> list[Path]:
    """The log of every part and of the servers, rotated ones too."""
    return [path for path in home.rglob("*.log*") if path.is_file()]


def tables(stack: Stack) -> Iterator[tuple[str, bytes]]:
    """Every row of every table of ours, and what Postgres shows of statements under way."""
    with stack.connect() as connection:
        yield from whole_database(connection)
        yield "pg_stat_activity", rows_of(connection, "pg_stat_activity")


def whole_database(connection: "psycopg.Connection[Any]") -> Iterator[tuple[str, bytes]]:
    """Every row of every table of every schema, partitions and what is materialised among them, all columns, as text."""
    names = connection.execute(
        "SELECT oid::regclass::text FROM pg_class"
        " WHERE relkind IN ('r', 'm') AND relnamespace::regnamespace::text !~ '^(pg_|information_schema)' ORDER BY 1"
    ).fetchall()
    for name in names:
        (table,) = name.values() if isinstance(name, dict) else name
        yield table, rows_of(connection, table)


def rows_of(connection: "psycopg.Connection[Any]", table: str) -> bytes:
    with connection.cursor().copy(f"COPY (SELECT t::text FROM {table} t) TO STDOUT") as copy:
        return b"".join(bytes(block) for block in copy)


def valkey(client: "redis.Redis") -> Iterator[bytes]:
    """Every key with its value, and the list of slow commands; base64 inside of messages is opened, too."""
    with client:
        for key in client.scan_iter():
            yield bytes(key)
            yield from map(_opened, _values(client, key))
        yield repr(client.slowlog_get(1000)).encode()


def _values(client: Any, key: bytes) -> Iterator[bytes]:
    """The client's types leave open whether it answers in bytes; ours does."""
    match client.type(key):
        case b"string":
            yield client.get(key) or b""
        case b"list":
            yield from client.lrange(key, 0, -1)
        case b"set":
            yield from client.smembers(key)
        case b"zset":
            yield from client.zrange(key, 0, -1)
        case b"hash":
            for field, value in client.hgetall(key).items():
                yield field + b" " + value
        case b"none":
            pass  # it expired between the scan and this look: there is nothing left that could give a secret away
        case other:
            raise AssertionError(f"{key!r} is of a kind that isn't read here: {other!r}")


def _opened(value: bytes) -> bytes:
    bodies = re.findall(rb'"body": *"([A-Za-z0-9+/=]+)"', value)
    return value + b" ".join(base64.b64decode(body) for body in bodies)


def arguments(stack: Stack) -> Iterator[bytes]:
    """The command lines of all that we started, as everybody on the machine sees them."""
    for part in stack.parts.values():
        if part.child.alive:
            family = [part.child.process, *part.child.process.children(recursive=True)]
            yield from (" ".join(process.cmdline()).encode() for process in family)
    for server in (stack.postgres.child, stack.valkey.child):
        assert server is not None
        yield " ".join(psutil.Process(server.pid).cmdline()).encode()


def flower_pages(base_url: str, login: tuple[str, str]) -> dict[str, bytes]:
    """Every page of Flower that can be reached from its lists, and what its API says."""
    found: dict[str, bytes] = {}
    with httpx.Client(base_url=base_url, auth=login, timeout=20, trust_env=False) as client:
        waiting = [
            "/workers",
            "/tasks",
            "/broker",
            "/api/workers?refresh=1",
            "/api/tasks",
            "/api/queues/length",
        ]
        while waiting:
            page = waiting.pop()
            answer = client.get(page)
            found[f"Flower {page}"] = answer.content
            if page == "/api/tasks" and answer.is_success:
                waiting += [f"/task/{task}" for task in list(answer.json())[:40]]
            if page.startswith("/api/workers") and answer.is_success:
                waiting += [f"/worker/{name}" for name in answer.json()]
    return found
