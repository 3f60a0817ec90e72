"""What does each kind of refusal make us do next? A manifest's word becomes one of our errors. Pure.

transient      try again with backoff             system_error
rate_limited   nobody of the account asks         throttled
auth_expired   log in anew, once                  auth_refused, if it is said again
not_found      of one record: it is gone          not_found
permission     a person must let our user in      permission_denied
validation     what we asked can't be answered    invalid_request
conflict       somebody else changed it           conflict
warning        the system wants a yes from people warning
partial        a part of it failed                partial_answer
operator       anything else for a person         request_refused
"""

from collections.abc import Mapping
from typing import NamedTuple

from worker.errors import AuthExpired, HeadraceError, NeedsOperator, NotThere, Throttled, Transient

RATE_LIMITED = "rate_limited"


class Meaning(NamedTuple):
    """An error of ours, what it is called, and what to do."""

    error: type[HeadraceError]
    code: str
    hint: str | None = None


NOT_LET_IN = "Check the connection's secrets, and what its user may read."

KINDS: Mapping[str, Meaning] = {
    "transient": Meaning(Transient, "system_error"),
    RATE_LIMITED: Meaning(Throttled, "throttled"),
    "auth_expired": Meaning(AuthExpired, "auth_refused", NOT_LET_IN),
    "not_found": Meaning(NotThere, "not_found"),
    "permission": Meaning(NeedsOperator, "permission_denied", "Give the connection's user the right to it."),
    "validation": Meaning(NeedsOperator, "invalid_request"),
    "conflict": Meaning(NeedsOperator, "conflict"),
    "warning": Meaning(NeedsOperator, "warning"),
    "partial": Meaning(NeedsOperator, "partial_answer"),
    "operator": Meaning(NeedsOperator, "request_refused"),
}

UNNAMED = frozenset({RATE_LIMITED, "auth_expired"})
"""Kinds whose code is read by others, so a rule can't give another."""


def error_of(kind: str, said: str, *, code: str | None = None, seconds: float | None = None) -> HeadraceError:
    """The error that a rule of that kind stands for."""
    meaning = KINDS[kind]
    if kind == RATE_LIMITED:
        return Throttled(said, seconds=seconds)
    return meaning.error(code or meaning.code, said, hint=meaning.hint)
