"""Where nothing of ours goes, however it is written."""

import ipaddress
from typing import Any

import httpcore
import pytest

from worker.http.wire.deadline import DeadlineBackend
from worker.http.wire.destination import AddressRefused, Guard, refusal, written_address


def why(address: str, *, loopback: bool = False) -> str | None:
    return refusal(ipaddress.ip_address(address), loopback=loopback)


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254", "169.254.0.1", "169.254.170.2", "fe80::1", "fd00:ec2::254", "fd20:ce::254", "100.100.100.200",
        "168.63.129.16", "192.0.0.192", "0.0.0.0", "0.1.2.3", "::", "224.0.0.1", "239.255.255.250", "ff02::1",
        "255.255.255.255", "240.0.0.1", "fec0::1",
        "::ffff:169.254.169.254", "::169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "::ffff:0.0.0.0",
        "64:ff9b:1::a9fe:a9fe", "::ffff:0:a9fe:a9fe", "2001:db8::5efe:a9fe:a9fe", "2001:db8::200:5efe:a9fe:a9fe",
        "fd00:42::42",
    ],
)  # fmt: skip
def test_nobody_receives_there_and_no_setting_allows_it(address: str) -> None:
    assert why(address)
    assert why(address, loopback=True)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"])
def test_loopback_is_for_a_setting_to_allow(address: str) -> None:
    assert why(address) == "loopback"
    assert why(address, loopback=True) is None


@pytest.mark.parametrize(
    "address",
    ["10.1.2.3", "172.16.0.9", "192.168.1.1", "100.64.0.1", "fd12:3456::1", "93.184.216.34", "2606:2800::1"],
)
def test_the_world_and_private_networks_are_open(address: str) -> None:
    assert why(address) is None


@pytest.mark.parametrize(
    "address",
    ["10.1.2.3", "172.16.0.9", "192.168.1.1", "100.64.0.1", "198.18.0.1", "192.0.2.1", "fd12:3456::1", "2001:db8::1",
     "::ffff:10.1.2.3", "64:ff9b::a01:203", "2002:a01:203::1", "2001:4860::5efe:a01:203"],
)  # fmt: skip
def test_where_only_the_internet_may_be_asked_private_networks_are_refused(address: str) -> None:
    assert refusal(ipaddress.ip_address(address), loopback=False, private=False) == "private"


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "172.32.0.1", "2606:2800::1", "64:ff9b::5db8:d822", "::ffff:93.184.216.34"]
)
def test_where_only_the_internet_may_be_asked_it_may(address: str) -> None:
    assert refusal(ipaddress.ip_address(address), loopback=False, private=False) is None


@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "2852039166", "0xa9fea9fe", "0xA9.0xFE.0xA9.0xFE", "0251.0376.0251.0376", "169.254.43518",
     "169.254.169.254.", "::ffff:169.254.169.254", "fd00:ec2::254", "fe80::1%eth0", "metadata.google.internal",
     "METADATA.google.internal.", "instance-data.ec2.internal", "metadata.tencentyun.com", "%31%36%39.254.169.254",
     "metadata%2egoogle.internal"],
)  # fmt: skip
def test_a_host_that_somebody_else_resolves_is_judged_as_it_is_written(host: str) -> None:
    with pytest.raises(AddressRefused):
        Guard().check_name(host)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "plant.example",
        "fade.example",
        "10.0.0.1",
        "f00d",
        "xn--bcher-kva.example",
        "erp_1",
        "::1",
    ],
)
def test_a_name_is_left_to_whoever_resolves_it(host: str) -> None:
    Guard().check_name(host)


def test_a_name_that_only_looks_like_a_number_is_a_name() -> None:
    assert written_address("face.example") is None
    assert written_address("fa.ce.ad.e0") is None
    assert str(written_address("0x7f.1")) == "127.0.0.1"


class Opened:
    """Notes which addresses connections are opened to; `down` don't take them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, down: set[str] | None = None) -> None:
        self.asked: list[str] = []

        def connect(_: object, host: str, *_others: object) -> Any:
            self.asked.append(host)
            if host in (down or set()):
                raise httpcore.ConnectError("down")
            return "stream"

        monkeypatch.setattr("httpcore.SyncBackend.connect_tcp", connect)


def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads elsewhere a moment later is not asked again."""
    answers = iter([["93.184.216.34"], ["169.254.169.254"]])
    opened = Opened(monkeypatch)
    backend = DeadlineBackend(Guard(resolve=lambda *_: next(answers)))
    backend.connect_tcp("plant.example", 443)
    with pytest.raises(AddressRefused, match=r"plant\.example: its address is a cloud"):
        backend.connect_tcp("plant.example", 443)
    assert opened.asked == ["93.184.216.34"]


def test_one_bad_address_of_a_name_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Opened(monkeypatch)
    backend = DeadlineBackend(Guard(resolve=lambda *_: ["93.184.216.34", "::ffff:169.254.169.254"]))
    with pytest.raises(AddressRefused):
        backend.connect_tcp("plant.example", 443)
    assert opened.asked == []


def test_the_next_address_is_tried_where_one_takes_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Opened(monkeypatch, down={"10.0.0.1", "10.0.0.3"})
    DeadlineBackend(Guard(resolve=lambda *_: ["10.0.0.1", "10.0.0.2"])).connect_tcp("plant.example", 443)
    with pytest.raises(httpcore.ConnectError):
        DeadlineBackend(Guard(resolve=lambda *_: ["10.0.0.1", "10.0.0.3"])).connect_tcp("plant.example", 443)
    assert opened.asked == ["10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.3"]
