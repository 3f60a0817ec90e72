"""Which requests with an Idempotency-Key were there before, and what were they answered? Rows in `idempotency_keys`.

A key is claimed for the length of a lease, which is renewed while the request is worked on. Who dies over it leaves a
lease that lapses, and the same request may claim it anew; whoever was only taken for dead can't answer any more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from psycopg.types.json import Jsonb

from worker.db.database import Database
from worker.db.queries import load_queries
from worker.errors import HeadraceError, InvalidInput

sql = load_queries("scheduler.access.repeats", "keys.sql")

LEASE = 30.0
KEEP_DAYS = 7


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to carry out the request of a key."""

    token: UUID
    key: str
    number: int


@dataclass(frozen=True, slots=True)
class Kept:
    """What a request was answered that was done before."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None
    """None: it held a secret, which is nowhere kept."""


class Reused(InvalidInput):
    """The key belongs to another request. Answered 422."""

    def __init__(self) -> None:
        super().__init__(
            "idempotency_key_reused",
            "This Idempotency-Key was used for another request.",
            place="header.Idempotency-Key",
            hint="Make a new key for each thing that you ask for, and repeat it with the very same path and body alone.",
        )


class InFlight(HeadraceError):
    """The same request is being worked on. Answered 409."""

    def __init__(self, seconds: int) -> None:
        super().__init__(
            "idempotency_in_flight",
            "The request with this Idempotency-Key is being worked on.",
            hint="Send it again in a moment: then it is answered as the first was.",
        )
        self.seconds = seconds


class Keys:
    """The rows."""

    def __init__(self, database: Database, *, lease: float = LEASE) -> None:
        self._database = database
        self.lease = lease

    def claim(self, token: UUID, key: str, request: bytes) -> Claim | Kept:
        """The right to carry it out, or what it was answered before. Raises `Reused` and `InFlight`."""
        params = {"token": token, "key": key, "request": request, "lease": self.lease, "days": KEEP_DAYS}
        for _ in range(3):  # somebody may give it back between the two looks
            if (claimed := self._database.one(sql.claim_key, params)) is not None:
                return Claim(token, key, claimed["claim_no"])
            if (found := self._database.one(sql.find_key, params)) is None:
                continue
            if bytes(found["request"]) != request:
                raise Reused
            if found["done"]:
                body = found["body"]
                return Kept(found["status"], found["headers"], None if body is None else bytes(body))
            raise InFlight(found["seconds"])
        raise InFlight(1)

    def renew(self, claim: Claim) -> None:
        self._database.run(sql.renew_key, {**_named(claim), "lease": self.lease})

    def finish(self, claim: Claim, kept: Kept) -> None:
        """Keep the answer, before the client has it."""
        params = {"status": kept.status, "headers": Jsonb(dict(kept.headers)), "body": kept.body}
        self._database.run(sql.finish_key, _named(claim) | params)

    def release(self, claim: Claim) -> None:
        """Nothing was done."""
        self._database.run(sql.release_key, _named(claim))


def prune_keys(database: Database, days: int, batch: int) -> int:
    """Forget a batch of those that are older than so many days."""
    return database.run(sql.prune_keys, {"days": days, "batch": batch})


def _named(claim: Claim) -> dict[str, object]:
    return {"token": claim.token, "key": claim.key, "claim": claim.number}
