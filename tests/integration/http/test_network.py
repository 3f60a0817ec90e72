"""Connections whose requests leave by a proxy, or with certificates of their own, on real sockets and real TLS."""

import re
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from servers.network.certificates import Authority
from servers.network.listening import HttpProxy, System, answer_of
from servers.systems.bench import Bench

from tests.bench.cases.request import _Bound, _NoBudget
from worker.connectors.contract import Request, Response
from worker.errors import HeadraceError, NeedsOperator, Transient
from worker.http import CallContext, Sender
from worker.http.wire.process import close_shared_wire, network_wires
from worker.telemetry.steps import Steps

pytestmark = pytest.mark.integration

TOKEN = "planted-token-of-the-plant"
LOGIN = "headrace:planted-pass word"
HOST = "plant.example"


@pytest.fixture(scope="module")
def ours() -> Authority:
    return Authority("Ours")


@pytest.fixture(scope="module")
def strangers() -> Authority:
    return Authority("Strangers")


@pytest.fixture(autouse=True)
def own_connections(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("BENCH_TOKEN", TOKEN)
    monkeypatch.setenv("PROXY_PASSWORD", LOGIN.partition(":")[2])
    yield
    close_shared_wire()


@pytest.fixture
def opened() -> Iterator[Callable[[Any], Any]]:
    """Closes what a test opens."""
    open_: list[Any] = []
    yield lambda server: (open_.append(server), server)[1]
    for server in open_:
        server.close()


Open = Callable[[Any], Any]


@dataclass
class Asker:
    """Asks as a run of one connection does."""

    base_url: str
    network: dict[str, str] = field(default_factory=dict)

    def __call__(self, path: str = "parts") -> Response:
        ctx = CallContext(
            1, "acme", 3, _Bound(self.base_url), {"token": "env://BENCH_TOKEN"}, "req-1", Steps(), network=self.network
        )  # fmt: skip
        return Sender(_NoBudget(), timeout=5, max_bytes=100_000).send(ctx, Request("GET", path))

    def refused(self, kind: type[HeadraceError]) -> HeadraceError:
        with pytest.raises(HeadraceError) as caught:
            self()
        assert isinstance(caught.value, kind), caught.value
        assert "planted" not in f"{caught.value} {caught.value.hint}"
        return caught.value


def kept(folder: Path, name: str, text: str) -> str:
    """A reference to a file that holds it."""
    (folder / name).write_text(text)
    return f"file://{folder / name}"


def test_only_a_system_that_the_connections_own_authority_vouches_for_is_spoken_with(
    ours: Authority, strangers: Authority, tmp_path: Path, opened: Open
) -> None:
    good = opened(System(ours.issue("plant", ["127.0.0.1"]).server_context(tmp_path)))
    other = opened(System(strangers.issue("plant", ["127.0.0.1"]).server_context(tmp_path)))
    misnamed = opened(System(ours.issue("plant", ["another.example"]).server_context(tmp_path)))
    network = {"ca": kept(tmp_path, "ca.pem", ours.certificate)}

    assert Asker(f"https://127.0.0.1:{good.port}", network)().body == b"{}"
    assert Asker(f"https://127.0.0.1:{other.port}", network).refused(NeedsOperator).code == "tls_failed"
    assert Asker(f"https://127.0.0.1:{misnamed.port}", network).refused(NeedsOperator).code == "tls_failed"
    assert "network.ca" in str(Asker(f"https://127.0.0.1:{good.port}").refused(NeedsOperator).hint)
    assert other.asked == misnamed.asked == []


def test_several_authorities_may_stand_in_one_file(
    ours: Authority, strangers: Authority, tmp_path: Path, opened: Open
) -> None:
    network = {"ca": kept(tmp_path, "ca.pem", f"# ours\n{strangers.certificate}\n\n{ours.certificate}")}
    for authority in (ours, strangers):
        system = opened(System(authority.issue("plant", ["127.0.0.1"]).server_context(tmp_path)))
        assert Asker(f"https://127.0.0.1:{system.port}", network)().status == 200


@pytest.mark.parametrize("way", ["apart", "together", "encrypted"])
def test_a_system_that_asks_for_a_certificate_is_shown_the_connections(
    ours: Authority, tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    context = ours.issue("plant", ["127.0.0.1"]).server_context(tmp_path, clients_of=ours)
    system = opened(System(context))
    mine = ours.issue("headrace of acme")
    network = {"ca": kept(tmp_path, "ca.pem", ours.certificate)}
    if way == "together":
        network["client_certificate"] = kept(tmp_path, "client.pem", mine.key + mine.certificate)
    else:
        key = mine.encrypted_key("planted") if way == "encrypted" else mine.key
        network["client_certificate"] = kept(tmp_path, "client.pem", mine.certificate)
        network["client_key"] = kept(tmp_path, "client.key", key)
    if way == "encrypted":
        monkeypatch.setenv("KEY_PASSWORD", "planted")
        network["client_key_password"] = "env://KEY_PASSWORD"
    ask = Asker(f"https://127.0.0.1:{system.port}", network)

    assert ask().status == ask().status == 200
    assert system.clients == ["headrace of acme"], "one connection for both"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_system_that_does_not_take_the_certificate_says_so(
    ours: Authority, strangers: Authority, tmp_path: Path, opened: Open, version: ssl.TLSVersion
) -> None:
    context = ours.issue("plant", ["127.0.0.1"]).server_context(tmp_path, clients_of=ours)
    context.minimum_version = context.maximum_version = version
    system = opened(System(context))
    network = {"ca": kept(tmp_path, "ca.pem", ours.certificate)}
    strange = strangers.issue("somebody")
    shown = network | {"client_certificate": kept(tmp_path, "client.pem", strange.certificate + strange.key)}
    url = f"https://127.0.0.1:{system.port}"

    assert Asker(url, shown).refused(NeedsOperator).code == "client_certificate_refused"
    if version is ssl.TLSVersion.TLSv1_3:  # before, the system only says that it won't
        error = Asker(url, network).refused(NeedsOperator)
        assert "asks for a client certificate" in str(error)
    assert system.asked == []


def test_a_certificate_that_was_renewed_is_shown_once_the_old_one_is_refused(
    ours: Authority, tmp_path: Path, opened: Open
) -> None:
    context = ours.issue("plant", ["127.0.0.1"]).server_context(tmp_path, clients_of=ours)
    system = opened(System(context))
    old, new = ours.issue("old", lasts=timedelta(days=-1)), ours.issue("new")
    network = {
        "ca": kept(tmp_path, "ca.pem", ours.certificate),
        "client_certificate": kept(tmp_path, "client.pem", old.certificate + old.key),
    }
    ask = Asker(f"https://127.0.0.1:{system.port}", network)
    assert ask.refused(NeedsOperator).code == "client_certificate_refused"
    kept(tmp_path, "client.pem", new.certificate + new.key)

    assert ask().status == 200
    assert system.clients == ["new"]


@pytest.mark.parametrize(
    ("spoilt", "code"),
    [
        ({"ca": "planted nonsense"}, "bad_certificate"),
        ({"ca": "-----BEGIN CERTIFICATE-----\nplanted\n-----END CERTIFICATE-----\n"}, "bad_certificate"),
        ({"client_certificate": "planted nonsense"}, "bad_certificate"),
        ({"client_key": "planted nonsense"}, "bad_client_certificate"),
        ({"client_key": None}, "bad_client_certificate"),
    ],
)
def test_what_is_no_certificate_is_refused_without_a_byte_of_it(
    ours: Authority,
    strangers: Authority,
    tmp_path: Path,
    opened: Open,
    spoilt: dict[str, str | None],
    code: str,
) -> None:
    system = opened(System())
    mine = ours.issue("headrace")
    parts = {"ca": ours.certificate, "client_certificate": mine.certificate, "client_key": mine.key} | spoilt
    if parts["client_key"] is None:
        parts["client_key"] = strangers.issue("planted").key
    network = {name: kept(tmp_path, name, text) for name, text in parts.items() if text}

    assert Asker(f"https://127.0.0.1:{system.port}", network).refused(NeedsOperator).code == code
    assert system.connections == 0


def test_an_encrypted_key_without_its_password_is_refused_and_nobody_is_asked_on_a_terminal(
    ours: Authority, tmp_path: Path, opened: Open
) -> None:
    mine = ours.issue("headrace")
    network = {
        "client_certificate": kept(tmp_path, "client.pem", mine.certificate),
        "client_key": kept(tmp_path, "client.key", mine.encrypted_key("planted")),
    }
    system = opened(System())
    error = Asker(f"https://127.0.0.1:{system.port}", network).refused(NeedsOperator)
    assert error.code == "bad_client_certificate"
    assert "client_key_password" in str(error.hint)


@pytest.mark.parametrize("speaks_tls", [False, True], ids=["http proxy", "https proxy"])
def test_a_secure_system_is_reached_through_the_proxy_which_sees_nothing_but_its_name(
    ours: Authority, tmp_path: Path, opened: Open, speaks_tls: bool
) -> None:
    system = opened(System(ours.issue("plant", [HOST]).server_context(tmp_path)))
    context = ours.issue("proxy", ["127.0.0.1"]).server_context(tmp_path) if speaks_tls else None
    proxy = opened(HttpProxy({HOST: system.port}, context, LOGIN))
    network = {
        "ca": kept(tmp_path, "ca.pem", ours.certificate),
        "proxy": f"http{'s' if speaks_tls else ''}://127.0.0.1:{proxy.port}",
        "proxy_user": "headrace",
        "proxy_password": "env://PROXY_PASSWORD",
    }
    ask = Asker(f"https://{HOST}:{system.port}/api", network)

    assert [ask().status for _ in range(3)] == [200] * 3
    assert proxy.connections == 1, "the tunnel is kept"
    assert proxy.heads[0].startswith(f"CONNECT {HOST}:{system.port} HTTP/1.1\r\n".encode())
    assert TOKEN.encode() not in b"".join(proxy.heads)
    assert len(system.asked) == 3
    for head in system.asked:
        assert head.startswith(b"GET /api/parts HTTP/1.1\r\n")
        assert f"Bearer {TOKEN}".encode() in head
        assert b"x-request-id: req-1" in head
        assert b"proxy-authorization" not in head.lower()


def test_a_plain_system_is_asked_through_the_proxy_by_its_whole_url(opened: Open) -> None:
    system = opened(System())
    proxy = opened(HttpProxy({HOST: system.port}, login=LOGIN))
    network = {
        "proxy": f"http://127.0.0.1:{proxy.port}",
        "proxy_user": "headrace",
        "proxy_password": "env://PROXY_PASSWORD",
    }
    assert Asker(f"http://{HOST}/api", network)("parts?a=1").body == b"{}"
    assert proxy.heads[0].startswith(f"GET http://{HOST}/api/parts?a=1 HTTP/1.1\r\nHost: {HOST}\r\n".encode())


def test_a_connection_for_public_addresses_reaches_this_machine_neither_straight_nor_by_its_proxy(
    ours: Authority, tmp_path: Path, opened: Open
) -> None:
    """The proxy itself may be here: whoever runs Headrace has set it."""
    system = opened(System(ours.issue("plant", [HOST]).server_context(tmp_path)))
    proxy = opened(HttpProxy({HOST: system.port}))
    network = {"addresses": "public", "ca": kept(tmp_path, "ca.pem", ours.certificate)}
    here = f"https://127.0.0.1:{system.port}"
    assert Asker(here, network).refused(NeedsOperator).code == "address_refused"
    network["proxy"] = f"http://127.0.0.1:{proxy.port}"
    assert Asker(f"https://{HOST}:{system.port}", network)().body == b"{}"
    for url in (here, "http://10.0.0.1"):
        refused = Asker(url, network).refused(NeedsOperator)
        assert (refused.code, "network.addresses" in str(refused.hint)) == ("address_refused", True)
    assert len(proxy.heads) == 1


def test_what_the_proxy_says_is_told_apart_from_what_the_system_says(opened: Open) -> None:
    proxy = opened(HttpProxy({}, login=LOGIN))
    network = {"proxy": f"http://127.0.0.1:{proxy.port}"}
    for scheme in ("http", "https"):
        error = Asker(f"{scheme}://{HOST}", network).refused(NeedsOperator)
        assert (error.code, "asks for a user and a password" in str(error)) == ("proxy_refused", True)
    wrong = network | {"proxy_user": "headrace", "proxy_password": "env://BENCH_TOKEN"}
    assert "does not accept" in str(Asker(f"https://{HOST}", wrong).refused(NeedsOperator))

    proxy.refuses = answer_of(b"planted words", "403 No")
    assert "answered 403 when asked for plant.example" in str(
        Asker(f"https://{HOST}", network).refused(NeedsOperator)
    )
    proxy.refuses = answer_of(b"planted words", "503 Later")
    assert Asker(f"https://{HOST}", network).refused(Transient).code == "proxy_failed"
    for nonsense in (b"planted nonsense\r\n\r\n", b"HTTP/1.1 200 Yes\r\n\r\nplanted", b"x" * 70_000):
        proxy.refuses = nonsense
        assert Asker(f"https://{HOST}", network).refused(Transient).code == "proxy_failed"


def test_a_proxy_that_is_down_or_cannot_be_trusted_is_not_the_systems_fault(
    strangers: Authority, tmp_path: Path, opened: Open
) -> None:
    gone = HttpProxy({})
    gone.close()
    for scheme in ("http", "https"):
        error = Asker(f"{scheme}://{HOST}", {"proxy": f"http://127.0.0.1:{gone.port}"}).refused(Transient)
        assert (error.code, str(gone.port) in str(error)) == ("proxy_failed", True)
    strange = opened(HttpProxy({}, strangers.issue("proxy", ["127.0.0.1"]).server_context(tmp_path)))
    for scheme in ("http", "https"):
        network = {"proxy": f"https://127.0.0.1:{strange.port}"}
        error = Asker(f"{scheme}://{HOST}", network).refused(NeedsOperator)
        assert (error.code, "The proxy" in str(error)) == ("tls_failed", True)


def test_a_tunnel_that_the_proxy_closed_is_opened_anew(ours: Authority, tmp_path: Path, opened: Open) -> None:
    system = opened(System(ours.issue("plant", [HOST]).server_context(tmp_path)))
    proxy = opened(HttpProxy({HOST: system.port}))
    network = {"ca": kept(tmp_path, "ca.pem", ours.certificate), "proxy": f"http://127.0.0.1:{proxy.port}"}
    ask = Asker(f"https://{HOST}", network)
    ask()
    proxy.drop()
    assert ask().status == 200
    assert proxy.connections == 2


METADATA = ["169.254.169.254", "2852039166", "0xa9fea9fe", "[::ffff:169.254.169.254]", "[fd00:ec2::254]"]


@pytest.mark.parametrize("host", METADATA)
def test_no_request_goes_to_a_clouds_metadata_however_it_is_written(opened: Open, host: str) -> None:
    proxy = opened(HttpProxy({}))
    assert Asker(f"http://{host}/latest").refused(NeedsOperator).code == "address_refused"
    for scheme in ("http", "https"):
        through = Asker(f"{scheme}://{host}/latest", {"proxy": f"http://127.0.0.1:{proxy.port}"})
        assert through.refused(NeedsOperator).code == "address_refused"
    assert proxy.heads == []


def test_a_name_that_leads_to_metadata_is_refused_and_so_is_a_proxy_that_does(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = [(2, 1, 6, "", ("127.0.0.1", 80)), (2, 1, 6, "", ("169.254.169.254", 80))]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_a, **_b: answer)
    assert Asker("http://rebound.example").refused(NeedsOperator).code == "address_refused"
    for scheme in ("http", "https"):
        through = Asker(f"{scheme}://{HOST}", {"proxy": "http://rebound.example"})
        assert through.refused(NeedsOperator).code == "address_refused"


@pytest.mark.parametrize("to", ["http://localhost:9/x", "http://169.254.169.254/x", "/parts"])
def test_a_redirect_is_followed_nowhere_with_or_without_a_proxy(opened: Open, to: str) -> None:
    system = opened(System())
    system.answer = lambda _: answer_of(b"", "302 Found", f"Location: {to}")
    proxy = opened(HttpProxy({HOST: system.port}))
    with pytest.raises(HeadraceError, match="302"):
        Asker(f"http://127.0.0.1:{system.port}")()
    with pytest.raises(HeadraceError, match="302"):
        Asker(f"http://{HOST}", {"proxy": f"http://127.0.0.1:{proxy.port}"})()
    assert len(system.asked) == 2


def test_connections_with_the_same_network_share_their_wire_and_others_do_not(
    ours: Authority, tmp_path: Path, opened: Open
) -> None:
    system = opened(System(ours.issue("plant", ["127.0.0.1"]).server_context(tmp_path)))
    network = {"ca": kept(tmp_path, "ca.pem", ours.certificate)}
    url = f"https://127.0.0.1:{system.port}"
    Asker(url, network)()
    Asker(url, dict(network))()
    assert system.connections == 1
    Asker(url, {"ca": kept(tmp_path, "again.pem", ours.certificate)})()
    assert system.connections == 2
    assert len(network_wires()._kept) == 2


def test_a_run_goes_by_the_network_that_stands_on_its_connection(bench: Bench, opened: Open) -> None:
    port = int(bench.demo.base_url.rpartition(":")[2])
    proxy = opened(HttpProxy({"127.0.0.1": port}))
    bench.services.database.run(
        "UPDATE connections SET network = jsonb_build_object('proxy', %(url)s::text)",
        {"url": f"http://127.0.0.1:{proxy.port}"},
    )
    stream = bench.stream("sites")
    assert bench.sync(stream)["state"] == "succeeded"
    assert bench.copy(stream)
    assert proxy.heads
    for head in proxy.heads:
        assert re.search(rb"\r\nx-request-id: \S+\r\n", head), "by which its lines in the log are found"


def test_a_word_of_a_network_that_is_not_known_sends_nothing(opened: Open) -> None:
    system = opened(System())
    error = Asker(f"http://127.0.0.1:{system.port}", {"brand_new": "x"}).refused(NeedsOperator)
    assert (error.code, system.connections) == ("bad_network", 0)
