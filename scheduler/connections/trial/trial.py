"""A connection is tried out now, as a worker would use it: through its budget, its proxy, its log-in.

Promises: at most one page of each stream is asked for, as small as its system allows, of what changed in this moment;
what refuses altogether is asked twice, and a log-in that is refused is tried once. Nothing of the answers is kept.
Whoever tries has looked at what they typed, so a log-in that was refused some minutes ago is tried again.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from scheduler.connections.trial.flow import found_by
from scheduler.connections.trial.report import DISCOVERY, Finding, Outcome, Report
from worker.config import Settings
from worker.connectors.contract import Source, Stream, Window
from worker.connectors.registry import Registry
from worker.db.advisory import SecretLocks
from worker.db.database import Database
from worker.errors import HeadraceError, RateLimited
from worker.http.proof import LoginRefused
from worker.http.rotation import Rotation
from worker.http.sender import CallContext, Sender
from worker.limits.budget import NO_CALL, Budgets, Permit
from worker.limits.policy import Call, Limits
from worker.limits.quotas.stored import StoredQuotas
from worker.limits.words import LOGIN
from worker.runs.states import Lane
from worker.secrets import is_writable, open_secret
from worker.telemetry.steps import Steps
from worker.transports import carriers

SECONDS = 40.0
"""After which streams that weren't tried yet aren't."""
SMALLER = 1000
PATIENCE = 10.0
NO_STREAMS = "They stand in its setting `describe`; `headrace discover` shows what there is, where its system can say it."


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is tried: a connection's row, or what may become one."""

    system: str
    environment: str
    settings: Mapping[str, Any]
    secrets: Mapping[str, str]
    network: Mapping[str, str]
    id: int = 0
    manifest_version: str | None = None
    """The version of the system's manifest that it is pinned to; None: the current one."""
    account: str = field(default_factory=lambda: f"trial:{uuid4()}")
    """Of its own, so that what a stranger's system answers holds up nobody else."""

    @classmethod
    def of(cls, database: Database, row: Mapping[str, Any]) -> "Candidate":
        """A connection that is there."""
        found = database.one(
            "SELECT headrace_account(c) AS account FROM connections c WHERE c.id = %(id)s", {"id": row["id"]}
        )
        fields = ("system", "environment", "settings", "secrets", "network", "id", "manifest_version")
        return cls(**{name: row[name] for name in fields}, account=str(found["account"]) if found else "")


class _Deliberate(Budgets):
    """Log-ins are tried however often the one before was refused, and a refusal holds up nobody else."""

    def permit(
        self, account: str, limits: Limits, *, cost: int = 1, lane: int = 3, call: Call = NO_CALL
    ) -> AbstractContextManager[Permit]:
        if account.startswith(LOGIN):
            return nullcontext(Permit(0.0, 0))
        return super().permit(account, limits, cost=cost, lane=lane, call=call)

    def hold(self, account: str, seconds: float, reason: str, *, grows: bool = False) -> datetime:
        if account.startswith(LOGIN):
            return datetime.now(UTC)
        return super().hold(account, seconds, reason, grows=grows)


@contextmanager
def trial_sender(database: Database, settings: Settings) -> Iterator[Sender]:
    """Sends as workers do, and waits some seconds for a budget."""
    timeout = min(settings.request_timeout, PATIENCE)
    budgets = _Deliberate(settings.require_broker_url(), short_wait=PATIENCE, quotas=StoredQuotas(database))
    sender = Sender(
        budgets,
        timeout=timeout,
        max_bytes=settings.max_page_bytes,
        rotation=Rotation(SecretLocks(database)),
        carriers=carriers(settings),
    )
    try:
        yield sender
    finally:
        sender.close()
        budgets.close()


def try_connection(
    sender: Sender,
    registry: Registry,
    candidate: Candidate,
    *,
    request_id: str,
    clock: Callable[[], float] = time.monotonic,
) -> Report:
    """Look at everything that must be right; what can't be looked at, because something before failed, is skipped."""
    findings: list[Finding] = []
    source = _bound(registry, candidate, findings)
    if source is None or not _secrets_open(source, candidate, findings):
        return Report(findings)
    context = context_of(source, candidate, request_id)
    if not source.stream_names:
        findings += _without_streams(sender, context, source, clock)
    until, stopped = clock() + SECONDS, False
    for name in source.stream_names:
        if stopped or clock() >= until:
            findings.append(Finding(f"stream {name}", "skipped", "It wasn't tried.", stream=name))
            continue
        found, login_refused = _ask(sender, context, source.stream(name))
        findings.append(found)
        stopped = login_refused or found.code in _OF_ALL or _refuses_all(findings)
        if stopped:
            findings.insert(-1, replace(found, about="system", stream=None))
    return Report(findings)


def context_of(source: Source, candidate: Candidate, request_id: str) -> CallContext:
    """With what a candidate's requests are sent."""
    return CallContext(
        connection_id=candidate.id,
        account=candidate.account,
        lane=int(Lane.ON_DEMAND),
        source=source,
        secrets=candidate.secrets,
        request_id=request_id,
        steps=Steps(),
        environment=candidate.environment,
        network=candidate.network,
        settings=candidate.settings,
    )


def _without_streams(
    sender: Sender, context: CallContext, source: Source, clock: Callable[[], float]
) -> list[Finding]:
    """Where nothing is chosen yet, a system that can say what there is shows by that that it answers."""
    findings = [Finding("streams", "warning", "It has none yet.", code="no_streams", hint=NO_STREAMS)]
    flow, until = source.discover(), clock() + SECONDS
    if flow is None:
        return findings
    try:
        found = found_by(flow, sender, context, lambda: clock() >= until)
    except HeadraceError as exc:
        return [*findings, _failed(DISCOVERY, exc)]
    return [
        *findings,
        Finding(DISCOVERY, "ok", f"It has {len(found)} kinds of records that could be streams."),
    ]


def _refuses_all(findings: list[Finding]) -> bool:
    """One stream may be forbidden; where two are and none isn't, it is the log-in that is refused."""
    asked = [each for each in findings if each.stream is not None]
    return len(asked) > 1 and all(each.code == "auth_refused" for each in asked)


_OF_ALL = frozenset({
    "unreachable", "address_refused", "bad_address", "tls_failed", "proxy_failed", "proxy_refused", "bad_network",
    "bad_certificate", "bad_client_certificate", "client_certificate_refused",
    "needs_authorisation", "secret_unresolved", "secret_missing", "bad_secret", "secret_not_writable", "secret_store_unavailable",
})  # fmt: skip
"""What one stream is told of these, all would be."""


def _bound(registry: Registry, candidate: Candidate, findings: list[Finding]) -> Source | None:
    try:
        connector = registry.get(candidate.system, candidate.manifest_version)
        connector.check_settings(candidate.settings)
        source = connector.bind(candidate.settings)
    except HeadraceError as exc:
        findings.append(_failed("settings", exc))
        return None
    findings.append(Finding("settings", "ok", f"They are what {connector.title} needs."))
    return source


def _secrets_open(source: Source, candidate: Candidate, findings: list[Finding]) -> bool:
    good = True
    replaced: frozenset[str] = getattr(source.auth, "replaced", frozenset())
    for name, reference in candidate.secrets.items():
        about = f"secret {name}"
        try:
            open_secret(reference, environment=candidate.environment, fresh=True)
            lasting = name not in replaced or is_writable(reference)
        except HeadraceError as exc:
            findings.append(_failed(about, exc))
            good = False
            continue
        if lasting:
            findings.append(Finding(about, "ok", f"{reference} can be opened."))
        else:
            findings.append(_read_only(about, reference))
    return good


def _read_only(about: str, reference: str) -> Finding:
    return Finding(
        about,
        "failed",
        f"{reference} can be opened and not written, and the system replaces this secret each time it is used.",
        code="secret_not_writable",
        hint="Keep it where it can be written: a file, Vault, AWS Secrets Manager or Azure Key Vault.",
    )


def _ask(sender: Sender, context: CallContext, stream: Stream) -> tuple[Finding, bool]:
    """What came of it; and whether it was the log-in that was refused."""
    about = f"stream {stream.name}"
    small, window = _smallest(stream)
    try:
        page = small.read(sender.send(context, small.request(window, None)), window, None)
    except HeadraceError as exc:
        return _failed(about, exc, stream.name), isinstance(exc, LoginRefused)
    if page.rejected and not page.records:
        bad = page.rejected[0]
        return Finding(about, "warning", bad.reason, code=bad.code, stream=stream.name), False
    return Finding(about, "ok", "It can be read.", stream=stream.name), False


def _smallest(stream: Stream) -> tuple[Stream, Window]:
    """What changed from now on, where it can be asked so; a small page of it all, where it can't."""
    resized = stream.resized(SMALLER, None)
    small = stream if resized is None else resized[0]
    traits = stream.traits
    asks = traits.incremental and traits.timestamps and not traits.token
    return small, Window(since=datetime.now(UTC)) if asks else Window()


def _failed(about: str, exc: HeadraceError, stream: str | None = None) -> Finding:
    outcome: Outcome = "skipped" if isinstance(exc, RateLimited) else "failed"
    return Finding(about, outcome, exc.message, code=exc.code, hint=exc.hint, stream=stream)
