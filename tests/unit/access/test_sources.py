"""From which address does a request come?"""

import pytest

from scheduler.access.door.sources import is_within, neighbourhood, read_networks, source_of

PROXIES = read_networks(["10.0.0.0/8", "::1/128"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "source"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["192.0.2.1"], "192.0.2.1"),
        ("10.0.0.1", ["192.0.2.1, 10.0.0.2"], "192.0.2.1"),
        ("10.0.0.1", ["192.0.2.1", "10.0.0.2"], "192.0.2.1"),
        ("10.0.0.1", ["10.9.9.9, 10.0.0.2"], "10.9.9.9"),
        ("::1", ["2001:db8::7"], "2001:db8::7"),
        ("::ffff:10.0.0.1", ["192.0.2.1"], "192.0.2.1"),
        ("::ffff:192.0.2.1", [], "192.0.2.1"),
        (None, ["192.0.2.1"], None),
        ("testclient", [], None),
    ],
)
def test_what_a_trusted_proxy_says_is_believed(
    peer: str | None, forwarded: list[str], source: str | None
) -> None:
    assert source_of(peer, forwarded, PROXIES) == source


def test_what_a_client_says_is_not() -> None:
    """Neither straight to us, nor before what the proxy added."""
    assert source_of("192.0.2.1", ["10.1.1.1"], PROXIES) == "192.0.2.1"
    assert source_of("10.0.0.1", ["10.1.1.1, 192.0.2.1"], PROXIES) == "192.0.2.1"
    assert source_of("10.0.0.1", ["127.0.0.1, 192.0.2.1"], PROXIES) == "192.0.2.1"
    assert source_of("10.0.0.1", ["192.0.2.1"], ()) == "10.0.0.1"


@pytest.mark.parametrize("said", ["", "unknown", "192.0.2.1:80", "192.0.2.1,", "\xff"])
def test_where_a_proxy_says_what_no_address_is_nobody_knows(said: str) -> None:
    assert source_of("10.0.0.1", [said], PROXIES) is None


@pytest.mark.parametrize(
    ("source", "networks", "within"),
    [
        ("192.0.2.1", None, True),
        (None, None, True),
        ("192.0.2.1", ("192.0.2.0/24",), True),
        ("192.0.2.1", ("198.51.100.0/24", "192.0.2.1/32"), True),
        ("192.0.3.1", ("192.0.2.0/24",), False),
        ("::ffff:192.0.2.1", ("192.0.2.0/24",), True),
        ("2001:db8::1", ("192.0.2.0/24",), False),
        (None, ("0.0.0.0/0", "::/0"), False),
        ("192.0.2.1", (), False),
    ],
)
def test_an_address_lies_within_a_network_or_not(
    source: str | None, networks: tuple[str, ...] | None, within: bool
) -> None:
    assert is_within(source, networks) is within


def test_a_customer_with_many_addresses_is_one_neighbour() -> None:
    assert neighbourhood("2001:db8::1") == neighbourhood("2001:db8:0:0:ffff::2")
    assert neighbourhood("2001:db8::1") != neighbourhood("2001:db8:0:1::1")
    assert neighbourhood("192.0.2.1") != neighbourhood("192.0.2.2")
    assert neighbourhood("::ffff:192.0.2.1") == neighbourhood("192.0.2.1")
