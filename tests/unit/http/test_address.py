"""Requests go to the connection's own address and nowhere else."""

import pytest

from worker.connectors.contract import Request
from worker.errors import NeedsOperator
from worker.http.address import address_of

BASE = "https://plant.example.com/api/v1"


@pytest.mark.parametrize(
    ("base", "url", "params", "whole"),
    [
        (BASE, "work_orders", (), f"{BASE}/work_orders"),
        (BASE, "/work_orders", (), f"{BASE}/work_orders"),
        (BASE + "/", "work_orders/", (), f"{BASE}/work_orders/"),
        (BASE, "", (), BASE),
        ("https://plant.example.com", "", (), "https://plant.example.com"),
        (BASE, "a", [("q", "x y"), ("q", "ä&=")], f"{BASE}/a?q=x%20y&q=%C3%A4%26%3D"),
        (BASE, "a?sig=A%2fb+c&b=%20", [("page", "2")], f"{BASE}/a?sig=A%2fb+c&b=%20&page=2"),
        (BASE, "?x=1", (), f"{BASE}?x=1"),
        (BASE, "a#part", (), f"{BASE}/a"),
        (BASE, "orders(id=1):changes", (), f"{BASE}/orders(id=1):changes"),
        (BASE, "https://plant.example.com/other?p=2", (), "https://plant.example.com/other?p=2"),
        (BASE, "HTTPS://PLANT.example.com:443/x", (), "https://plant.example.com/x"),
        ("http://127.0.0.1:8080", "x", (), "http://127.0.0.1:8080/x"),
        ("http://[::1]:8080", "http://[::1]:8080/x", (), "http://[::1]:8080/x"),
    ],
)
def test_a_relative_address_is_appended_to_the_base(
    base: str, url: str, params: list[tuple[str, str]], whole: str
) -> None:
    assert str(address_of(base, Request("GET", url, params))) == whole


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example.com/x",
        "http://plant.example.com/x",
        "https://plant.example.com:8443/x",
        "//evil.example.com/x",
        "https://plant.example.com@evil.example.com/x",
        "https://user:hunter2@plant.example.com/x",
        "https://plant.example.com.evil.com/",
        "ftp://plant.example.com/x",
        "file:///etc/passwd",
    ],
)
def test_secrets_go_nowhere_else(url: str) -> None:
    with pytest.raises(NeedsOperator) as caught:
        address_of(BASE, Request("GET", url))

    assert caught.value.code == "elsewhere"
    assert "plant.example.com" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["\\\\evil.example.com/x", "@evil.example.com/x", ":80@evil.example.com", "../../x"]
)
def test_odd_relative_addresses_stay_at_the_system(url: str) -> None:
    assert address_of(BASE, Request("GET", url)).host == "plant.example.com"


@pytest.mark.parametrize(
    "base",
    [
        "",
        "plant.example.com",
        "ftp://plant.example.com",
        "https://",
        "https://u:hunter2@plant.example.com",
        "a\x00",
    ],
)
def test_an_address_that_can_not_be_sent_to_needs_a_person(base: str) -> None:
    with pytest.raises(NeedsOperator) as caught:
        address_of(base, Request("GET", "x"))

    assert caught.value.code == "bad_address"
    assert "hunter2" not in str(caught.value)


def test_a_path_with_control_characters_is_refused() -> None:
    with pytest.raises(NeedsOperator):
        address_of(BASE, Request("GET", "x\r\nHost: evil"))
