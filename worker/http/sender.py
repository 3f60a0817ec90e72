"""How does a request that a connector described reach its system, and what comes back?

By HTTP, or by the carrier of its source's transport (`carrying`).

Promises: every request, log-ins included, takes a permit of its account's budget; the answer is bounded in size and
time; a system that says "wait" is not asked again by anybody until then; errors are ours, name host and request, and
hold no secret. Does not retry, but for a kept-alive connection that the system had closed: whether and when to try
again is decided on the run's row.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from secrets import token_hex

import httpx
import structlog

from worker.connectors.contract import Moment, Request, Response
from worker.connectors.hooks.source import hooked
from worker.errors import HeadraceError, NeedsOperator, NotThere, Throttled, Transient
from worker.http.address import Address, address_of, gets_tokens, home_of
from worker.http.attempt import Attempt
from worker.http.body import pieces, read_body, too_large
from worker.http.carrier import Carrier
from worker.http.carrying import Carrying
from worker.http.context import Budget, CallContext
from worker.http.grant import Grant, Permit, Refusals
from worker.http.hearing import UNHEARD, Hearing, nobody_asks
from worker.http.heeding import Heeding, Judge, asks_to_wait
from worker.http.held import HeldTokens
from worker.http.logins import Logins
from worker.http.network.settings import network_of
from worker.http.opened import opens_for, proved
from worker.http.proof import LoginRefused, Proof, keeps_sessions, shown
from worker.http.rotation import Rotation
from worker.http.translate import foreign_errors, translated
from worker.http.wire.deadline import Deadline
from worker.http.wire.exchange import TransportWire, Wire
from worker.http.wire.message import Outgoing, TooLarge
from worker.http.wire.process import network_wires, shared_wire
from worker.http.writing import as_sent, in_words, redact, url_of
from worker.limits.system.breaker import Breaker, Counts
from worker.secrets import Secret

__all__ = ["Budget", "CallContext", "Permit", "Sender"]

WHOLE_ANSWER = 2.0
"""A whole answer may take this many times the time-out of a single wait."""
NO_CARRIERS: Mapping[str, Carrier] = {}
HARMLESS_TWICE = frozenset({"GET", "HEAD", "OPTIONS"})
_NOBODY_HOME = frozenset({502, 503, 504})
"""Said in front of a system that is away."""
_CUT_OFF = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)

log = structlog.get_logger(__name__)
_level = logging.getLogger(__name__)


class _LostUnseen(Exception):
    """A kept-alive connection broke before any of the answer came."""


class Sender:
    """Sends for all connections of a process; safe to share between threads."""

    def __init__(
        self,
        budgets: Budget,
        *,
        timeout: float,
        max_bytes: int,
        failures: Counts | None = None,
        transport: httpx.BaseTransport | None = None,
        rotation: Rotation | None = None,
        carriers: Mapping[str, Carrier] = NO_CARRIERS,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._budgets = budgets
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._own_wire = None if transport is None else TransportWire(transport)
        self._heeding = Heeding(budgets, Breaker(failures, budgets, now=clock), clock)
        self._clock = clock
        self._held = HeldTokens()
        self._logins = Logins(budgets)
        self._refusals = Refusals()
        self._rotation = rotation or Rotation()
        self._carrying = Carrying(
            carriers,
            budgets,
            self._heeding,
            self._logins,
            self._refusals,
            whole=WHOLE_ANSWER * timeout,
            wait=timeout,
            most=max_bytes,
        )

    def send(
        self, ctx: CallContext, request: Request, comes: Callable[[int], None] = nobody_asks
    ) -> Response:
        """The answer to `request`, sent with the connection's proof, if the system said yes, or that nothing is there.

        `comes` is told how large its body is, or is by now, before that is taken into memory: it may wait, or raise.
        """
        try:
            if (hook := hooked(ctx.source)) is not None:
                request = hook.sending(request)
            hearing = Hearing(comes, Judge(ctx.source, request.absent), hook)
            if ctx.source.transport == "http":
                response = self._proved(ctx, request, hearing)
            else:
                response = self._carrying.answer(ctx, request, comes)
                response = hearing.heard(response, ctx.source.transport, self._max_bytes)
            failure = hearing.judge.failure(response)
            if isinstance(failure, NotThere) and (status := hearing.judge.absence) is not None:
                return replace(response, status=status)
            if failure is not None:
                raise self._heeding.words(ctx.account, response, failure, ctx.source.limits.headers)
            return response
        except HeadraceError as exc:
            redact(exc)
            if isinstance(exc, LoginRefused):
                self._logins.refused(ctx, exc)
            if isinstance(exc, Throttled):
                raise self._heeding.log_in(ctx.account, exc) from None
            raise

    def let_go(self, ctx: CallContext) -> bool:
        """Nothing more is asked for this run: what its carrier keeps from request to request is ended. False: it keeps nothing."""
        return ctx.source.transport != "http" and self._carrying.let_go(ctx)

    def close(self) -> None:
        """Log out, and let go of what its carriers keep; HTTP's connections are the process's."""
        self._held.give_back(WHOLE_ANSWER * self._timeout)
        self._carrying.close()

    def _proved(self, ctx: CallContext, request: Request, hearing: Hearing) -> Response:
        """The answer; if what we proved ourselves with is refused and was rotated meanwhile, that of a second try."""
        return proved(
            ctx, lambda secrets: self._proof(ctx, request, hearing, secrets).answer(), hearing.judge.failure
        )

    def _proof(
        self, ctx: CallContext, request: Request, hearing: Hearing, secrets: Mapping[str, Secret]
    ) -> Proof:
        auth = ctx.source.auth
        replaced = auth.replaced if gets_tokens(auth) else ()
        held = self._held.of(
            ctx.connection_id,
            {name: secret for name, secret in secrets.items() if name not in replaced},
            ctx.logs_in_by,
        )

        def log_in(outgoing: Request) -> Response:
            with self._logins.attempt(ctx, held):
                return self._exchange(ctx, outgoing, UNHEARD)

        proof = Proof(
            auth=auth,
            request=request,
            secrets=secrets,
            held=held,
            send=lambda outgoing: self._exchange(ctx, outgoing, hearing),
            log_in=log_in,
            renew=lambda renewal: self._rotation.spend(
                ctx.secrets[renewal.secret], renewal, log_in, ctx.environment
            ),
            patience=WHOLE_ANSWER * self._timeout,
            expired=hearing.expired,
            moment=lambda: Moment(self._clock(), token_hex(16), partial(url_of, ctx.source)),
        )
        if keeps_sessions(auth):
            held.leave = proof.give_back
        return proof

    def _exchange(self, ctx: CallContext, outgoing: Request, hearing: Hearing) -> Response:
        address = address_of(home_of(ctx.source, outgoing), outgoing)
        written = as_sent(outgoing, address, ctx.request_id)
        with foreign_errors(address.place, f"{outgoing.method} {address.path}"):
            try:
                return self._sent(ctx, outgoing, address, written, hearing, again=False)
            except _LostUnseen:
                log.debug("sent_again", host=address.host, asked=in_words(address, outgoing))
                return self._sent(ctx, outgoing, address, written, hearing, again=True)

    def _sent(
        self,
        ctx: CallContext,
        outgoing: Request,
        address: Address,
        written: Outgoing,
        hearing: Hearing,
        *,
        again: bool,
    ) -> Response:
        grant = Grant(
            self._budgets,
            ctx.account,
            ctx.source.limits,
            cost=outgoing.cost,
            lane=ctx.lane,
            steps=ctx.steps,
            refusals=self._refusals,
            call=ctx.call(outgoing, address.path),
        )
        who = f"{ctx.connection_id}/{ctx.stream or address.path}"
        with grant:
            attempt = Attempt(ctx.steps, grant.renew_if_old, hearing.comes)
            try:
                response = self._answered(ctx, address, written, attempt)
            except httpx.HTTPError as error:
                may_repeat = not again and (ctx.reads or outgoing.method.upper() in HARMLESS_TWICE)
                if may_repeat and isinstance(error, _CUT_OFF) and attempt.lost_on_an_old_connection:
                    raise _LostUnseen from None
                self._heed_silence(ctx, who, address, error)
                raise
            response = hearing.heard(response, address.place, self._max_bytes)
            # Before the permit is returned, so that nobody slips through between the two.
            said = None if response.status == 429 else hearing.judge.failure(response)
            if said is not None and asks_to_wait(said):
                raise self._heeding.words(ctx.account, response, said, ctx.source.limits.headers)
            meant = isinstance(said, NeedsOperator) and response.status not in _NOBODY_HOME
            if response.status >= 500 and not meant:
                grant.failed()
            self._heeding.answer(
                ctx.account,
                response,
                who=who,
                said=lambda: f"{address.place} answered {response.status} to {in_words(address, outgoing)}",
                tried=grant.tried,
                meant=meant,
                named=ctx.source.limits.headers,
            )
            return response

    def _answered(self, ctx: CallContext, address: Address, written: Outgoing, attempt: Attempt) -> Response:
        with ctx.steps.step("request") as step:
            deadline = Deadline.of(WHOLE_ANSWER * self._timeout, self._timeout)
            said_by = f"The answer of {address.place} to {written.method} {address.path}"
            try:
                answer = self._wire(ctx).exchange(written, attempt, deadline, self._max_bytes)
            except TooLarge:
                raise too_large(said_by, self._max_bytes) from None
            step.counts["status"] = answer.status
            body = answer.body
            if (encoding := answer.headers.get("content-encoding")) is not None:
                body = read_body(pieces(body), encoding, self._max_bytes, said_by, attempt.comes)
            step.counts["bytes"] = len(body)
        if _level.isEnabledFor(logging.DEBUG):
            asked = {"host": address.host, "method": written.method, "path": address.path}
            log.debug(
                "answered",
                **asked,
                sent=shown(written.headers),
                got=shown(answer.headers.items()),
                **step.counts,
            )
        return Response(answer.status, answer.headers, body, address.url)

    def _heed_silence(self, ctx: CallContext, who: str, address: Address, error: httpx.HTTPError) -> None:
        """What a person must mend first (a certificate) is no outage."""
        if isinstance(translated(error, address.place, ""), Transient):
            self._heeding.no_answer(ctx.account, error, who=who, place=address.place)

    def _wire(self, ctx: CallContext) -> Wire:
        if self._own_wire is not None:
            return self._own_wire
        if not ctx.network:
            return shared_wire()
        return network_wires().of(network_of(ctx.network), ctx.environment or "", opens_for(ctx))
