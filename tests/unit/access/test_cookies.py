"""Which cookie is a session's, and did our own page send it?"""

import pytest

from scheduler.access.door.cookies import (
    cookie_name,
    is_loopback,
    is_ours,
    is_planted,
    session_of,
    set_cookie,
)

VALUE = "a" * 43
OUTSIDE = "headrace.example.com"


@pytest.mark.parametrize("host", ["localhost", "localhost:8787", "127.0.0.1", "127.0.0.1:8787", "[::1]:8787"])
def test_on_the_machine_itself_a_cookie_needs_no_tls(host: str) -> None:
    assert is_loopback(host)
    assert "Secure" not in set_cookie(VALUE, host, 60)


@pytest.mark.parametrize(
    "host",
    [OUTSIDE, "localhost.evil.example", "evil.example#localhost", "127.0.0.1.evil.example", "", "[::", "10.0.0.1",
     "localhost@evil.example"],
)  # fmt: skip
def test_everywhere_else_it_does(host: str) -> None:
    header = set_cookie(VALUE, host, 60)
    assert header.startswith("__Host-headrace_session=")
    assert "; Secure" in header


def test_no_page_reads_the_cookie_and_no_other_host_sends_it() -> None:
    for host in ("localhost", OUTSIDE):
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(set_cookie(VALUE, host, 60).split("; "))
        assert "Domain" not in set_cookie(VALUE, host, 60)


def test_the_session_is_found_among_other_cookies() -> None:
    assert session_of([f"a=b; {cookie_name(OUTSIDE)}={VALUE}; c"], OUTSIDE) == VALUE
    assert session_of(["a=b", f"{cookie_name('localhost')}={VALUE}"], "localhost") == VALUE


@pytest.mark.parametrize(
    "cookies",
    [
        [],
        [""],
        [f"headrace_session={VALUE}"],
        [f"{cookie_name(OUTSIDE)}={VALUE}; {cookie_name(OUTSIDE)}={'b' * 43}"],
        [f"{cookie_name(OUTSIDE)}={VALUE}", f"{cookie_name(OUTSIDE)}={VALUE}"],
        [f"{cookie_name(OUTSIDE)}=short"],
        [f'{cookie_name(OUTSIDE)}="{VALUE}"'],
    ],
)
def test_what_a_neighbour_may_have_planted_is_no_session(cookies: list[str]) -> None:
    assert session_of(cookies, OUTSIDE) is None


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (f"https://{OUTSIDE}", OUTSIDE),
        (f"https://{OUTSIDE}", f"{OUTSIDE}:443"),
        (f"https://{OUTSIDE.upper()}", OUTSIDE),
        (f"https://{OUTSIDE}:8443", f"{OUTSIDE}:8443"),
        ("http://localhost:8787", "localhost:8787"),
        ("http://127.0.0.1:8787", "127.0.0.1:8787"),
        ("http://[::1]:8787", "[::1]:8787"),
    ],
)
def test_a_page_of_this_host_is_ours(origin: str, host: str) -> None:
    assert is_ours([origin], host, None)


@pytest.mark.parametrize(
    ("origins", "host"),
    [
        ([], OUTSIDE),
        (["null"], OUTSIDE),
        ([""], ""),
        (["https://evil.example"], OUTSIDE),
        ([f"https://{OUTSIDE}.evil.example"], OUTSIDE),
        ([f"https://evil.{OUTSIDE}"], OUTSIDE),
        ([f"http://{OUTSIDE}"], OUTSIDE),
        ([f"https://{OUTSIDE}:8443"], OUTSIDE),
        (["http://localhost:9999"], "localhost:8787"),
        ([f"https://{OUTSIDE}", "https://evil.example"], OUTSIDE),
        (["https://["], OUTSIDE),
        (["file://"], OUTSIDE),
    ],
)
def test_any_other_is_not(origins: list[str], host: str) -> None:
    assert not is_ours(origins, host, None)


def test_behind_a_proxy_that_renames_the_host_the_public_address_counts() -> None:
    assert is_ours([f"https://{OUTSIDE}"], "10.0.0.5:8787", f"https://{OUTSIDE}/")
    assert not is_ours(["https://evil.example"], "10.0.0.5:8787", f"https://{OUTSIDE}/")


@pytest.mark.parametrize(
    ("host", "origins", "secure"),
    [
        ("headrace.example.com", [], True),
        ("127.0.0.1:8787", ["http://127.0.0.1:8787"], False),
        ("127.0.0.1:8787", [], False),
        ("127.0.0.1:8787", ["https://headrace.example.com"], True),
    ],
)
def test_a_cookie_is_for_tls_alone_wherever_a_browser_comes_over_it(
    host: str, origins: list[str], secure: bool
) -> None:
    assert set_cookie("v", host, 60, origins).endswith("; HttpOnly; SameSite=Strict" + "; Secure" * secure)


@pytest.mark.parametrize(
    ("sites", "planted"),
    [(["cross-site"], True), (["same-site"], True), (["same-origin"], False), (["none"], False), ([], False)],
)
def test_what_a_page_of_another_host_sends_is_known_by_what_the_browser_says(
    sites: list[str], planted: bool
) -> None:
    assert is_planted(sites) == planted
