"""Where outbound events may go, and where never."""

import pytest

from worker.errors import InvalidInput
from worker.http.wire.destination import AddressRefused
from worker.outbound.address import check_host, read_target


def test_loopback_is_for_a_setting_to_allow() -> None:
    target = read_target("http://hooks.example/")
    with pytest.raises(AddressRefused) as refused:
        check_host(target, loopback=False, resolve=lambda *_: ["127.0.0.1"])
    assert "HEADRACE_OUTBOUND_LOOPBACK" in str(refused.value.hint)
    assert check_host(target, loopback=True, resolve=lambda *_: ["127.0.0.1"]) == ["127.0.0.1"]


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
