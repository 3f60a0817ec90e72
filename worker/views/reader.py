"""Who may read the views, and nothing else? The role `headrace_reader`; the migration makes it where it may."""

from worker.db.database import Database
from worker.views.sql.quoting import ident

READER = "headrace_reader"


def reader_exists(database: Database) -> bool:
    """Whether there is such a role that may read the views of this database."""
    row = database.one(
        "SELECT has_schema_privilege(oid, 'data', 'USAGE') AS may FROM pg_roles WHERE rolname = %(name)s",
        {"name": READER},
    )
    return row is not None and bool(row["may"])


def reader_statements(database: Database) -> list[str]:
    """What a superuser runs where we may not."""
    row = database.one("SELECT current_user AS owner")
    owner = ident(str(row["owner"])) if row else "headrace"
    return [
        f"CREATE ROLE {READER} NOLOGIN;",
        f"GRANT USAGE ON SCHEMA data, models TO {READER};",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA data, models TO {READER};",
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA data, models GRANT SELECT ON TABLES TO {READER};",
    ]
