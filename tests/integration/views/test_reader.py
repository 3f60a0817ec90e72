"""The role that reads the views sees them and nothing else."""

from collections.abc import Iterator

import psycopg
import pytest
from integration.views.viewed import Viewed
from psycopg.conninfo import make_conninfo

pytestmark = pytest.mark.integration


@pytest.fixture
def anna(viewed: Viewed, database_url: str) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    """Somebody who was let in as headrace_reader, connected as herself."""
    viewed.put("work_orders", {"1": {"id": 1, "title": "Pump"}})
    viewed.make("work_orders")
    viewed.make_models()
    viewed.database.run("CREATE ROLE anna LOGIN PASSWORD 'of this test' IN ROLE headrace_reader")
    try:
        with psycopg.connect(
            make_conninfo(database_url, user="anna", password="of this test"), autocommit=True
        ) as connection:
            yield connection
    finally:
        viewed.database.run("DROP ROLE anna")


def test_the_reader_reads_views_and_models(anna: "psycopg.Connection[tuple[object, ...]]") -> None:
    assert anna.execute("SELECT title FROM data.plant_north__work_orders").fetchall() == [("Pump",)]
    assert anna.execute("SELECT title FROM models.work_order").fetchall() == [("Pump",)]


def test_the_reader_is_refused_everything_else(anna: "psycopg.Connection[tuple[object, ...]]") -> None:
    refused = psycopg.errors.InsufficientPrivilege, psycopg.errors.ObjectNotInPrerequisiteState
    for statement in (
        "SELECT * FROM public.records",
        "SELECT * FROM public.connections",
        "SELECT * FROM public.stream_views",
        "SELECT * FROM public.quarantine",
        "SELECT * FROM headrace_store.s1",
        "UPDATE data.plant_north__work_orders SET title = 'x'",
        "DELETE FROM models.work_order",
        "CREATE TABLE data.mine (n int)",
        "CREATE TABLE public.mine (n int)",
        "DROP VIEW data.plant_north__work_orders",
    ):
        with pytest.raises(refused):
            anna.execute(statement)


def test_the_reader_reads_what_is_made_later_and_a_store_through_its_view(
    viewed: Viewed, anna: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    from worker.db.queries import sql  # noqa: PLC0415
    from worker.views.stores import keep_store, tend_store  # noqa: PLC0415

    viewed.put("sites", {"1": {"code": "N"}})
    viewed.make("sites")
    assert anna.execute("SELECT code FROM data.plant_north__sites").fetchall() == [("N",)]
    viewed.database.run('UPDATE streams SET options = \'{"materialise": "always"}\'')
    stream = viewed.stream("sites")
    keep_store(viewed.database, stream)
    for store in viewed.database.all(sql.stores_to_tend):
        while tend_store(viewed.database, store, stream):
            pass
    viewed.put("sites", {"2": {"code": "S"}})
    rows = anna.execute("SELECT code FROM data.plant_north__sites ORDER BY code").fetchall()
    assert rows == [("N",), ("S",)]
