"""What is a network's wire made of? Its trust, what it shows, and the way through its proxy."""

import ssl
from collections.abc import Mapping

from worker.http.network import tls
from worker.http.network.proxy import ForwardWire, Proxy, TunnelBackend
from worker.http.network.settings import Network, read_proxy
from worker.http.wire.deadline import Deadline, DeadlineBackend
from worker.http.wire.destination import Guard
from worker.http.wire.exchange import Moments, PooledWire, Wire
from worker.http.wire.message import Answer, Outgoing
from worker.http.wire.pool import Pool

MOST_OPEN, MOST_IDLE, KEPT_ALIVE = 100, 8, 30.0
MOST_OF_MANY, MOST_IDLE_OF_MANY = 400, 200
"""Where nothing is of one company's own: all systems that customers gave the address of share that network."""


class NetworkWire:
    """The way of all connections with the same network."""

    def __init__(self, secure: PooledWire, plain: Wire, pools: tuple[Pool, ...]) -> None:
        self._secure = secure
        self._plain = plain
        self._pools = pools

    def exchange(self, outgoing: Outgoing, moments: Moments, deadline: Deadline, most: int) -> Answer:
        wire = self._secure if outgoing.origin.secure else self._plain
        return wire.exchange(outgoing, moments, deadline, most)

    def sweep(self) -> None:
        """Close what nobody has used for long."""
        for pool in self._pools:
            pool.sweep()

    def close(self) -> None:
        for pool in self._pools:
            pool.close()


def make_wire(network: Network, opened: Mapping[str, str]) -> NetworkWire:
    """The wire of a network whose references lead to `opened`. Raises `NeedsOperator` for certificates that are none."""
    guard = network.guard()
    context = tls.trusting(opened["ca"]) if "ca" in opened else tls.trusted()
    if "client_certificate" in opened:
        key, password = opened.get("client_key", ""), opened.get("client_key_password")
        tls.show(context, opened["client_certificate"], key, password)
    if not network.proxy:
        pool = _pool(context, DeadlineBackend(guard), of_many=not opened)
        wire = PooledWire(pool)
        return NetworkWire(wire, wire, (pool,))
    login = f"{network.proxy_user}:{opened.get('proxy_password', '')}" if network.proxy_user else ""
    proxy = Proxy(read_proxy(network.proxy), login)
    to_proxy = tls.trusting_too(opened["ca"]) if "ca" in opened else tls.trusted()
    through = _pool(context, TunnelBackend(proxy, to_proxy, guard))
    forward = _pool(to_proxy, DeadlineBackend(Guard()))
    return NetworkWire(
        PooledWire(through), ForwardWire(proxy, PooledWire(forward), guard), (through, forward)
    )


def _pool(context: ssl.SSLContext, backend: DeadlineBackend, *, of_many: bool = False) -> Pool:
    most_open, most_idle = (MOST_OF_MANY, MOST_IDLE_OF_MANY) if of_many else (MOST_OPEN, MOST_IDLE)
    return Pool(context, most_open=most_open, most_idle=most_idle, kept_alive=KEPT_ALIVE, backend=backend)
