"""Where outbound events may go, and where never."""

import ipaddress

import pytest

from worker.errors import InvalidInput
from worker.outbound.address import AddressRefused, CheckedBackend, check_host, read_target, refusal


def why(address: str, *, loopback: bool = False) -> str | None:
    return refusal(ipaddress.ip_address(address), loopback=loopback)


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254", "169.254.0.1", "169.254.170.2", "fe80::1", "fd00:ec2::254", "fd20:ce::254", "100.100.100.200",
        "168.63.129.16", "192.0.0.192", "0.0.0.0", "0.1.2.3", "::", "224.0.0.1", "239.255.255.250", "ff02::1",
        "255.255.255.255", "240.0.0.1", "fec0::1",
        "::ffff:169.254.169.254", "::169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "::ffff:0.0.0.0",
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


def test_one_bad_address_of_a_name_is_enough() -> None:
    target = read_target("https://hooks.example/x")
    with pytest.raises(AddressRefused, match=r"hooks\.example"):
        check_host(target, loopback=False, resolve=lambda *_: ["93.184.216.34", "169.254.169.254"])
    assert check_host(target, loopback=False, resolve=lambda *_: ["93.184.216.34"]) == ["93.184.216.34"]


@pytest.mark.parametrize("host", ["2852039166", "0xa9fea9fe", "169.254.43518", "0251.0376.0251.0376"])
def test_other_ways_to_write_an_address_lead_to_the_same(host: str) -> None:
    """As the system's own resolver reads them."""
    with pytest.raises((AddressRefused, OSError, InvalidInput)):
        check_host(read_target(f"http://{host}/"), loopback=True)


def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads elsewhere a moment later is not asked again."""
    answers = iter([["93.184.216.34"], ["127.0.0.1"]])
    asked: list[str] = []

    def connect(_self: object, host: str, *_: object) -> str:
        asked.append(host)
        return "stream"

    monkeypatch.setattr("worker.http.wire.deadline.DeadlineBackend.connect_tcp", connect)
    backend = CheckedBackend(loopback=False, resolve=lambda *_: next(answers))
    assert backend.connect_tcp("hooks.example", 443) == "stream"
    assert asked == ["93.184.216.34"]
    with pytest.raises(AddressRefused):
        backend.connect_tcp("hooks.example", 443)
    assert asked == ["93.184.216.34"]


@pytest.mark.parametrize(
    "url",
    ["", "hooks.example", "ftp://hooks.example/", "https://", "https://user:planted@hooks.example/", "https://h/#planted",
     "https://[::1", "http://a\x00b/", "https://h/" + "x" * 2001, "//hooks.example/x", "file:///etc/passwd",
     "http://xn--/", "http://xn--a/"],
)  # fmt: skip
def test_what_is_no_url_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_target(url)
    assert refused.value.code == "bad_url"
    assert "planted" not in str(refused.value)


def test_a_url_is_taken_apart() -> None:
    target = read_target("https://hooks.example:8443/a/b?c=d")
    assert (target.host, target.port, target.place, target.path) == (
        "hooks.example", 8443, "hooks.example:8443", "/a/b?c=d",
    )  # fmt: skip
    assert read_target("http://[fd00::1]/").place == "[fd00::1]"
    assert read_target("http://[fd00::1]/").host == "fd00::1"
