"""What do a database's errors mean for a run? By SQLSTATE where it has them, else by its words.

    no connection, or one that broke    Transient      unreachable, broken_answer
    too slow                            Transient      timeout
    too many connections                Transient      throttled
    who we are, or what we may          NeedsOperator  auth_refused, permission_denied
    what we ask for isn't there         NeedsOperator  no_database, no_table, no_column
    what we ask isn't understood        NeedsOperator  bad_query, bad_value
    anything else                       Transient      system_error

The database's own words are kept, in one line.
"""

import re
from collections.abc import Mapping, Sequence

from sqlalchemy.exc import DBAPIError, ProgrammingError

from worker.connectors.answers import clean_words
from worker.errors import HeadraceError, NeedsOperator, Transient
from worker.http.proof import LoginRefused

_BY_STATE: Sequence[tuple[str, str]] = (
    ("28", "auth_refused"),
    ("3D000", "no_database"),
    ("42501", "permission_denied"),
    ("42P01", "no_table"),
    ("3F000", "no_table"),
    ("42703", "no_column"),
    ("42", "bad_query"),
    ("25006", "bad_query"),
    ("0A000", "bad_query"),
    ("22", "bad_value"),
    ("57014", "timeout"),
    ("55P03", "timeout"),
    ("53300", "throttled"),
    ("57P", "broken_answer"),
    ("08", "unreachable"),
)
_BY_WORDS: Sequence[tuple[re.Pattern[str], str]] = tuple(
    (re.compile(words, re.IGNORECASE), code)
    for words, code in (
        (r"authentication failed|access denied|login failed|invalid username/password", "auth_refused"),
        (r"no password supplied|pg_hba|role .* does not exist|fe_sendauth", "auth_refused"),
        (r"database .* does not exist|unknown database|file is not a database|unable to open database", "no_database"),
        (r"too many (clients|connections)|connection slots|too many connections for role", "throttled"),
        (r"certificate|does not support ssl|ssl error|sslmode", "tls_failed"),
        (r"no such table|invalid object name|table or view does not exist|doesn't exist", "no_table"),
        (r"no such column|unknown column|invalid column name|invalid identifier", "no_column"),
        (r"permission denied|not authorized|command denied|insufficient privileges", "permission_denied"),
        (r"interrupted|database is locked|timeout|timed out", "timeout"),
        (r"syntax error|misuse of aggregate|readonly database|ambiguous column", "bad_query"),
        (r"malformed|disk image", "no_database"),
    )
)  # fmt: skip
_HINTS: Mapping[str, str] = {
    "auth_refused": "Check the user in the connection's url and its password.",
    "no_database": "Look at the end of the connection's url.",
    "permission_denied": "Its user needs to select from what the streams read.",
    "no_table": "Look at the table of the stream, and at the connection's schema.",
    "no_column": "Look at the stream's key, incremental, fields and filters.",
    "bad_query": "Look at the stream's query.",
    "bad_value": "Look at the stream's key, incremental and filters: a value doesn't fit its column.",
    "tls_failed": "TLS of Postgres is asked for by ?sslmode=… in the connection's url.",
}
_WAITS = frozenset({"timeout", "throttled", "broken_answer", "unreachable", "system_error"})


def translated(error: DBAPIError, place: str, asked: str, *, connecting: bool = False) -> HeadraceError:
    """Our error for one of a database's."""
    code = _code_of(error, connecting=connecting)
    words = clean_words(str(error.orig).split("\nDETAIL")[0])
    message = _MESSAGES.get(code, "{place} says to {asked}: {words}").format(
        place=place, asked=asked, words=words
    )
    if code in _WAITS:
        return Transient(code, message)
    if code == "auth_refused":
        return LoginRefused(code, message, hint=_HINTS[code])
    return NeedsOperator(code, message, hint=_HINTS.get(code))


_MESSAGES: Mapping[str, str] = {
    "unreachable": "{place} could not be reached: {words}",
    "broken_answer": "The connection to {place} broke during {asked}: {words}",
    "auth_refused": "{place} does not let us in: {words}",
}


def _code_of(error: DBAPIError, *, connecting: bool) -> str:
    state = getattr(error.orig, "sqlstate", None)
    if isinstance(state, str):
        found = next((code for begin, code in _BY_STATE if state.startswith(begin)), None)
        if found is not None:
            return found
    words = str(error.orig)
    found = (
        next((code for pattern, code in _BY_WORDS if pattern.search(words)), None) if state is None else None
    )
    if found is not None and not (connecting and found == "timeout"):
        return found
    if connecting:
        return "unreachable"
    if error.connection_invalidated:
        return "broken_answer"
    return "bad_query" if isinstance(error, ProgrammingError) and state is None else "system_error"
