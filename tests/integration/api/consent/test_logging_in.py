"""A customer connects a system by OAuth 2.0 with PKCE, as their browser does it."""

import re
from html import unescape
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from servers.systems.consenting import CLIENT_SECRET
from servers.systems.visiting import TYPED, House, consented, opened, page_at, sent


def test_a_customer_logs_in_there_and_is_connected(house: House, browser: httpx.Client) -> None:
    link = house.of_oauth(return_url="https://acme.example/done")
    back = consented(browser, sent(browser, opened(browser, link["url"])))
    done = browser.get(back)
    assert done.status_code == 200, done.text
    assert "Consenting CMMS is connected" in done.text
    assert 'href="https://acme.example/done"' in done.text
    row = house.connection("Acme")
    assert (row["tenant"], row["environment"], row["file_id"]) == ("acme", "live", None)
    kept = Path(row["secrets"]["refresh_token"].removeprefix("file://"))
    assert (
        kept.read_text() in house.system.refresh
    )  # it was spent by the trial, and what came instead is kept
    assert (kept.stat().st_mode & 0o777) == 0o600


def test_a_state_is_good_once_and_for_one_browser(house: House, browser: httpx.Client) -> None:
    back = consented(browser, sent(browser, opened(browser, house.of_oauth()["url"])))
    with httpx.Client(trust_env=False) as other:
        assert other.get(back).status_code == 404
        opened(other, house.of_oauth(name="Mine")["url"])
        assert other.get(back).status_code == 422
        assert house.server.rows("SELECT 1 FROM connections") == []
    assert browser.get(back).status_code == 200
    again = browser.get(back)
    assert (again.status_code, "has done what it was for" in again.text) == (200, True)
    assert len(house.server.rows("SELECT 1 FROM connections")) == 1


def test_neither_verifier_nor_state_nor_link_is_stored_or_logged(house: House, browser: httpx.Client) -> None:
    link = house.of_oauth()
    back = consented(browser, sent(browser, opened(browser, link["url"])))
    state = dict(part.split("=") for part in urlsplit(back).query.split("&"))["state"]
    held = str(
        [house.server.rows(f"SELECT * FROM {table}") for table in ("oauth_states", "connect_links", "audit")]
    )
    browser.get(back)
    held += str(house.server.rows("SELECT * FROM connections")) + (house.home / "api.out").read_text()
    secret = link["url"].rpartition("/")[2]
    for planted in (
        state,
        secret,
        house.system.verifiers[-1],
        *house.system.refresh,
        *house.system.access,
    ):
        assert planted not in held


def test_somebody_who_says_no_may_try_again(house: House, browser: httpx.Client) -> None:
    shown = opened(browser, house.of_oauth()["url"])
    away = sent(browser, shown)
    state = re.search(r"state=([A-Za-z0-9_-]+)", unescape(away.text))
    assert state
    no = browser.get(page_at(str(shown.url), f"/connect/callback?error=access_denied&state={state[1]}"))
    assert no.status_code == 422
    assert house.server.rows("SELECT 1 FROM connections") == []
    assert browser.get(consented(browser, sent(browser, shown))).status_code == 200


def test_a_stream_that_may_not_be_read_is_named(house: House, browser: httpx.Client) -> None:
    house.system.forbidden = frozenset({"orders"})
    done = browser.get(consented(browser, sent(browser, opened(browser, house.of_oauth()["url"]))))
    assert done.status_code == 200
    assert "may not read these" in done.text


def test_what_was_given_before_somebody_said_no_is_taken_away_again(
    house: House, browser: httpx.Client
) -> None:
    link = house.of_oauth(secrets={"client_id": f"file://{house.home}/ours/client-id"})
    shown = opened(browser, link["url"])
    assert 'name="secret.client_secret"' in shown.text
    away = sent(browser, shown, **{"secret.client_secret": TYPED})
    again = sent(browser, shown, **{"secret.client_secret": CLIENT_SECRET})
    assert away.status_code == 200
    assert house.typed() == [CLIENT_SECRET]
    state = re.search(r"state=([A-Za-z0-9_-]+)", unescape(again.text))
    assert state
    back = page_at(str(shown.url), f"/connect/callback?error=access_denied&state={state[1]}")
    assert browser.get(back).status_code == 422
    assert house.typed() == []
    stale = browser.get(back)
    assert (stale.status_code, "answered already" in stale.text) == (422, True)


def test_a_connection_is_logged_in_again(house: House, browser: httpx.Client) -> None:
    browser.get(consented(browser, sent(browser, opened(browser, house.of_oauth()["url"]))))
    before = house.connection("Acme")
    house.server.ask("DELETE", f"/v1/connections/{before['id']}?data=keep")
    link = house.server.ask(
        "POST", "/v1/connect-links",
        json={"connection": "Acme", "store": house.store, "secrets": {
            name: reference for name, reference in before["secrets"].items() if name != "refresh_token"}},
    ).json()  # fmt: skip
    with httpx.Client(trust_env=False, timeout=30) as again:
        done = again.get(consented(again, sent(again, opened(again, link["url"]))))
        assert done.status_code == 200, done.text
    after = house.connection("Acme")
    assert after["id"] == before["id"]
    assert after["secrets"]["refresh_token"] != before["secrets"]["refresh_token"]
    assert (after["paused_at"], after["disconnected_at"]) == (None, None)
