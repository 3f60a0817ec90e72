"""What does a process of Headrace own? Made once at its start, closed at its end; threads share it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

import structlog

from worker.app import configure
from worker.config import Settings
from worker.connectors.registry import Registry
from worker.db.advisory import SecretLocks
from worker.db.database import Database
from worker.db.manifests import KeptManifests
from worker.db.queries import sql
from worker.engine.admission.turns import Turns
from worker.engine.fetching.ahead import Ahead
from worker.http.rotation import Rotation
from worker.http.sender import Sender
from worker.limits.budget import Budgets
from worker.limits.quotas.stored import StoredQuotas
from worker.limits.system.failures import Failures
from worker.outbound.post import Courier
from worker.runs.alive import process_name
from worker.runs.leases import Leases
from worker.runs.states import queues_of
from worker.transports import carriers

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a process. A worker uses all of them, the API and the command line a few."""

    settings: Settings
    database: Database
    heart: Database
    """A connection of its own for leases and the sign of life: they must not wait behind the runs."""
    registry: Registry
    budgets: Budgets
    sender: Sender
    leases: Leases
    ahead: Ahead
    turns: Turns
    courier: Courier
    worker: str = field(default_factory=process_name)

    @classmethod
    def open(
        cls,
        settings: Settings,
        *,
        name: str,
        threads: int = 4,
        publisher: bool = True,
        one_system: bool = False,
    ) -> Self:
        """Open what `settings` name; nothing is connected before it is used. Also points Celery at the broker.

        Emits: manifest_refused.
        """
        database = Database(
            settings.require_database_url(),
            name=name,
            pool=settings.database_pool,
            overflow=settings.database_pool if publisher else 0,
            idle_in_transaction_timeout=settings.idle_in_transaction_timeout,
            statement_timeout=0.0 if publisher else settings.statement_timeout,
        )
        heart = Database(settings.require_database_url(), name=name, pool=1, overflow=0)
        registry = Registry.load(settings.connectors, shelf=KeptManifests.of(database))
        for path, error in registry.problems():
            log.error("manifest_refused", path=str(path), error_code=error.code, error=str(error))
        configure(settings, all_queues(registry.named()), publisher=publisher)
        budgets = Budgets(
            settings.require_broker_url(),
            short_wait=settings.short_wait,
            slot_lease=2 * settings.request_timeout,  # the longest that one request may take
            quotas=StoredQuotas(database),
        )
        return cls(
            settings=settings,
            database=database,
            heart=heart,
            registry=registry,
            budgets=budgets,
            sender=Sender(
                budgets,
                timeout=settings.request_timeout,
                max_bytes=settings.max_page_bytes,
                failures=Failures(settings.require_broker_url()),
                rotation=Rotation(SecretLocks(database)),
                carriers=carriers(settings),
            ),
            # A page may take an answer, a log-in and another answer, each as long as two of its time-outs.
            leases=Leases(
                heart,
                lease=settings.lease,
                stall=max(settings.stall, 8 * settings.request_timeout),
                deadline=settings.run_deadline,
            ),
            ahead=Ahead(threads, side_by_side=settings.side_by_side, memory=settings.page_memory),
            turns=Turns(threads, shared=not one_system),
            courier=Courier(loopback=settings.outbound_loopback),
        )

    def close(self) -> None:
        self.leases.close()
        self.sender.close()
        self.courier.close()
        self.budgets.close()
        self.ahead.close()
        self.database.close()
        self.heart.close()


def used_systems(services: Services) -> list[str]:
    """Those that can be used, and those that connections are made to: these may be broken here, or kept without a file."""
    rows = services.database.all(sql.systems_of_connections)
    return sorted({*services.registry.named(), *(row["system"] for row in rows)})


def all_queues(systems: Sequence[str]) -> list[str]:
    """Every queue that a run of these systems may be sent to."""
    return [queue for system in systems for queue in queues_of(system)]


_serving: list[Services] = []


@contextmanager
def serving(services: Services) -> Iterator[None]:
    """Celery calls tasks with an id and nothing else: within this block they find what they work with."""
    _serving[:] = [services]
    try:
        yield
    finally:
        _serving.clear()


def current() -> Services:
    """What the running process serves with."""
    return _serving[0]
