"""Which wire has a network of its own? One in a process for all connections that have the same, in the same environment.

Promises: what its references lead to is opened when it is first needed, looked at again each minute, and at once after a
system or a proxy refused what it was shown, so that a certificate is renewed without a restart. While a secret store is
down, what was opened before goes on. Those not used for longest go first.
"""

import ssl
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from os import urandom
from threading import Lock
from time import monotonic

from worker.errors import NeedsOperator, Transient
from worker.http.network.making import NetworkWire, make_wire
from worker.http.network.settings import Network
from worker.http.wire.deadline import Deadline
from worker.http.wire.exchange import Moments
from worker.http.wire.message import Answer, Outgoing

MOST_NETWORKS = 128
LOOKED_AT = 60.0
SWEEP = 30.0
Open = Callable[[str, bool], str]
"""What a reference leads to; True: what it led to before was refused."""


@dataclass(slots=True)
class _Kept:
    """One network's wire. `until`: when its references are looked at again; `refused`: since what it shows was refused."""

    lock: Lock = field(default_factory=Lock)
    wire: NetworkWire | None = None
    digest: bytes = b""
    until: float = 0.0
    refused: bool = False


class NetworkWires:
    """Shared by the threads of a process."""

    def __init__(self, *, make: Callable[[Network, Mapping[str, str]], NetworkWire] = make_wire) -> None:
        self._make = make
        self._key = urandom(32)
        self._lock = Lock()
        self._kept: OrderedDict[tuple[Network, str], _Kept] = OrderedDict()
        self._next_sweep = monotonic() + SWEEP

    def of(self, network: Network, environment: str, open_reference: Open) -> "Watched":
        """The wire of this network; `open_reference` is called where it is time to."""
        kept = self._known(network, environment)
        wire = kept.wire
        if wire is None or monotonic() >= kept.until:
            with kept.lock:
                wire = kept.wire
                if wire is None or monotonic() >= kept.until:
                    wire = self._refreshed(kept, network, open_reference)
        return Watched(kept, wire)

    def close(self) -> None:
        with self._lock:
            gone = list(self._kept.values())
            self._kept.clear()
        _close(gone)

    def _known(self, network: Network, environment: str) -> _Kept:
        gone: list[_Kept] = []
        others: list[_Kept] = []
        with self._lock:
            kept = self._kept.setdefault((network, environment), _Kept())
            self._kept.move_to_end((network, environment))
            while len(self._kept) > MOST_NETWORKS:
                gone.append(self._kept.popitem(last=False)[1])
            if monotonic() >= self._next_sweep:
                self._next_sweep = monotonic() + SWEEP
                others = list(self._kept.values())
        _close(gone)
        for each in others:
            if each.wire is not None:
                each.wire.sweep()
        return kept

    def _refreshed(self, kept: _Kept, network: Network, open_reference: Open) -> NetworkWire:
        wire, refused, kept.refused = kept.wire, kept.refused, False
        try:
            opened = {name: open_reference(text, refused) for name, text in network.references().items()}
        except Transient:
            if wire is None:
                raise
        else:
            digest = self._digest(opened)
            if wire is None or digest != kept.digest:
                wire = self._make(network, opened)
                before, kept.wire, kept.digest = kept.wire, wire, digest
                if before is not None:
                    before.close()
        kept.until = monotonic() + LOOKED_AT
        return wire

    def _digest(self, opened: Mapping[str, str]) -> bytes:
        """Keyed, so that it says nothing about a short password."""
        state = blake2b(key=self._key)
        for name in sorted(opened):
            raw = opened[name].encode("utf-8", "surrogatepass")
            state.update(f"{name}:{len(raw)}:".encode() + raw)
        return state.digest()


@dataclass(frozen=True, slots=True)
class Watched:
    """A wire, and the word that what it shows was refused."""

    kept: _Kept
    wire: NetworkWire

    def exchange(self, outgoing: Outgoing, moments: Moments, deadline: Deadline, most: int) -> Answer:
        try:
            return self.wire.exchange(outgoing, moments, deadline, most)
        except Exception as exc:
            if isinstance(exc, NeedsOperator) or _about_tls(exc):
                self.kept.refused, self.kept.until = True, 0.0
            raise


def _about_tls(error: BaseException) -> bool:
    found: BaseException | None = error
    while found is not None and not isinstance(found, ssl.SSLError):
        found = found.__cause__ or found.__context__
    return found is not None


def _close(gone: list[_Kept]) -> None:
    for each in gone:
        if each.wire is not None:
            each.wire.close()
