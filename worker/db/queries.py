"""Where does SQL of weight live? In `statements/*.sql`: named blocks, each with its why. This reads them.

What is there for readers stays there: psycopg looks for parameters anew, each time, in a statement of more than 4096
characters.
"""

import re
from importlib import resources

_HEADING = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


class Queries:
    """The named statements of some files, as attributes: `sql.claim_run` is the text of the block `-- name: claim_run`."""

    def __init__(self, *texts: str) -> None:
        self._statements: dict[str, str] = {}
        for text in texts:
            parts = _HEADING.split(text)
            self._statements.update(zip(parts[1::2], map(_lean, parts[2::2]), strict=True))

    def __getattr__(self, name: str) -> str:
        try:
            return self._statements[name]
        except KeyError:
            raise AttributeError(f"no statement named {name}") from None

    def __dir__(self) -> list[str]:
        return sorted(self._statements)


def _lean(body: str) -> str:
    """Without lines that are a comment, and without indentation."""
    lines = (line.strip() for line in body.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("--"))


def with_constants(statement: str, **values: int) -> str:
    """The statement with these parameters written into it: a plan that Postgres keeps goes by the size of a LIMIT."""
    for name, value in values.items():
        statement = statement.replace(f"%({name})s", str(value))
    return statement


def load_queries(package: str, *files: str) -> Queries:
    folder = resources.files(package)
    return Queries(*(folder.joinpath(file).read_text(encoding="utf-8") for file in files))


FILES = (
    "schedule",
    "wakeups",
    "runs",
    "pages",
    "cursors",
    "limits",
    "history",
    "feed",
    "subscriptions",
    "deletes",
    "keep",
    "views",
    "proof",
    "events",
    "locks",
    "manifests",
)

sql = load_queries("worker.db", *(f"statements/{name}.sql" for name in FILES))
