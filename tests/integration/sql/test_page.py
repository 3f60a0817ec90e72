"""Whoever follows docs/connectors/sql.md connects a database: the page is carried out as it stands."""

from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from servers.installation.commands import Command
from unit.docs.pages import ROOT, Block, calls, shell_lines

from worker.config import load_settings
from worker.engine.perform import carry_out
from worker.services import Services

pytestmark = pytest.mark.integration

PAGE = ROOT / "docs" / "connectors" / "sql.md"
EXAMPLE = "db.example.com/erp"


def written(language: str) -> list[str]:
    """The blocks of the page's first part."""
    first = PAGE.read_text(encoding="utf-8").partition("## Where the database is")[0]
    return [part.partition("```")[0] for part in first.split(f"```{language}\n")[1:]]


def test_the_page_leads_to_a_synced_table(
    source: psycopg.Connection[Any],
    empty_database_url: str,
    headrace: Command,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
) -> None:
    source.execute("create table orders (id int primary key, updated_at timestamptz not null)")
    source.execute("create index on orders (updated_at)")
    source.execute("insert into orders select i, now() from generate_series(1, 12) i")
    where = conninfo_to_dict(empty_database_url)
    there = f"{where['host']}:{where['port']}/{where['dbname']}?sslmode=disable"
    monkeypatch.setenv("ERP_PASSWORD", "choose-one")
    monkeypatch.chdir(tmp_path)
    for statement in written("pgsql")[0].split(";"):
        source.execute(statement)
    try:
        files = iter(written("yaml"))
        for block in written("console"):
            for line in shell_lines(Block(PAGE, 1, "console", block)):
                (arguments,) = calls(line, "headrace")
                if "apply" in arguments:
                    (tmp_path / "connections.yaml").write_text(next(files).replace(EXAMPLE, there))
                said = headrace(*arguments)
                assert said.code == 0, (line, said.out, said.err)
        snippet = (tmp_path / "orders.yaml").read_text()
        assert 'table: "public.orders"' in snippet
        assert "field: updated_at" in snippet
        copied = _carried_out()
    finally:
        source.execute("drop owned by erp_reader")
        source.execute("drop role erp_reader")
    assert copied == 12


def _carried_out() -> int:
    """What the worker would do now; how many records are there then."""
    services = Services.open(load_settings(), name="test")
    try:
        while rows := services.database.all("SELECT id FROM runs WHERE not_before <= now()"):
            for row in rows:
                carry_out(services, row["id"])
        found = services.database.one("SELECT count(*) AS records FROM records")
        assert found is not None
        return int(found["records"])
    finally:
        services.close()
