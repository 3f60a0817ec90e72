"""What does the budget say to people: why a request must wait, and how an account stands?"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from worker.limits.policy import Answer, Verdict
from worker.limits.valkey.shared import Row

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LOGIN = "login:"
"""With this begins the account of one connection's log-ins; what follows means nothing to people."""


@dataclass(frozen=True, slots=True)
class AccountState:
    """A look at one account, for `doctor` and dashboards. None where there is nothing to say."""

    shared: bool
    """False: Valkey can't be asked, and this is what this process knows by itself."""
    paid_off_at: datetime | None
    """When all granted requests are paid off at the even pace, and the whole burst may leave again."""
    held_until: datetime | None
    reason: str | None
    probing: bool
    """A hold was set, and not enough requests have succeeded since to let all leave again."""
    slots: int
    """Requests under way, of accounts that limit them."""


def refusal_words(account: str, answer: Answer) -> str:
    """Why not now, for logs and the run's row. Holds no secret."""
    name, when = f"account {account[:100]!r}", moment(answer.at).strftime("%H:%M:%S UTC")
    why = f" ({answer.reason})" if answer.reason else ""
    if account.startswith(LOGIN):
        if answer.verdict is Verdict.HELD:
            return f"The log-in was refused, and isn't tried again before {when}{why}, unless secrets or settings change."
        return "The log-in was refused before, and is being tried by another run."
    match answer.verdict:
        case Verdict.HELD:
            return f"Requests of {name} wait until {when}{why}."
        case Verdict.NO_SLOT:
            return f"As many requests of {name} are under way as may be."
        case Verdict.PROBING:
            return f"A few requests of {name} are trying whether the system answers again."
        case _:
            return f"The budget of {name} is used up until {when}."


def state_of(rows: Sequence[Row], *, shared: bool) -> AccountState:
    """The account's state, from what is counted in its scopes."""
    row = rows[0]
    held, paid_off = row.hold > row.now, max((tat for one in rows for tat in one.tats), default=0)
    return AccountState(
        shared=shared,
        paid_off_at=moment(paid_off) if paid_off > row.now else None,
        held_until=moment(row.hold) if held else None,
        reason=(row.reason or None) if held else None,
        probing=row.probing,
        slots=row.slots,
    )


def moment(micros: int) -> datetime:
    return EPOCH + timedelta(microseconds=micros)
