"""A Postgres behind TLS: whom it is taken for, and by which authorities."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from servers.network.certificates import Authority
from servers.systems.databases import Read, Reading, source_at

from worker.errors import NeedsOperator
from worker.sql.pool import process

pytestmark = pytest.mark.integration

ORDERS = {"orders": {"table": "orders", "key": "id"}}


@contextmanager
def behind(context: ssl.SSLContext, port: int) -> Iterator[int]:
    """The port of one who answers Postgres's question for TLS, and hands on what comes."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        threading.Thread(target=_serve, args=(server, context, port), daemon=True).start()
        yield server.getsockname()[1]


def _serve(server: socket.socket, context: ssl.SSLContext, port: int) -> None:
    with suppress(OSError):
        while True:
            plain, _ = server.accept()
            with suppress(OSError):
                plain.recv(8)
                plain.sendall(b"S")
                there = context.wrap_socket(plain, server_side=True)
                here = socket.create_connection(("127.0.0.1", port))
                threading.Thread(target=_pump, args=(here, there), daemon=True).start()
                threading.Thread(target=_pump, args=(there, here), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError, ValueError):
        while data := source.recv(65536):
            target.sendall(data)
    for each in (source, target):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()


def test_a_certificate_is_checked_against_the_authorities_of_the_connection(
    source: psycopg.Connection[Any], reads: Read, empty_database_url: str, tmp_path: Path
) -> None:
    source.execute("create table orders as select 1 as id")
    ours, theirs = Authority("ours"), Authority("theirs")
    context = ours.issue("127.0.0.1").server_context(tmp_path)
    (tmp_path / "ours.pem").write_text(ours.certificate)
    (tmp_path / "theirs.pem").write_text(theirs.certificate)
    url = reads(ORDERS).source.base_url
    old = str(conninfo_to_dict(empty_database_url)["port"])
    with behind(context, int(old)) as port:
        plain = url.replace(f":{old}/", f":{port}/").replace("?sslmode=disable", "")

        def reader(mode: str, ca: str = "") -> Reading:
            network = {"ca": f"file://{tmp_path}/{ca}.pem"} if ca else {}
            return Reading(source_at(plain + mode, ORDERS), network=network)

        assert len(reader("", "ours").records("orders")) == 1
        assert len(reader("?sslmode=verify-ca", "ours").records("orders")) == 1
        assert len(reader("?sslmode=require").records("orders")) == 1
        for refused in (
            reader("", "theirs"),
            reader("?sslmode=verify-full"),
            reader("?sslmode=disable", "theirs"),
        ):
            with pytest.raises(NeedsOperator) as caught:
                refused.records("orders")
            assert caught.value.code == "tls_failed"
        process().pool.close()


def test_a_name_with_several_addresses_is_reached_by_the_one_that_answers(
    source: psycopg.Connection[Any], reads: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.execute("create table orders as select 1 as id")
    monkeypatch.setattr("worker.http.wire.destination.resolve_host", lambda *_: ["127.0.0.9", "127.0.0.1"])
    url = reads(ORDERS).source.base_url.replace("127.0.0.1", "plant.example.com")
    assert len(Reading(source_at(url, ORDERS)).records("orders")) == 1
