"""A customer connects a system by what they type in: it goes to the store, and nowhere else."""

import socket
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from servers.systems.demo import TOKEN as DEMO_TOKEN
from servers.systems.demo import Demo
from servers.systems.visiting import TYPED, House, opened, sent


def test_what_is_typed_in_goes_to_the_store_alone(
    house: House, browser: httpx.Client, tmp_path: Path
) -> None:
    demo = Demo(tmp_path / "demo", "--rate", "0", "--factor", "0.1", "--requests", "0").start()
    try:
        shown = opened(browser, house.link(system="demo", name="<b>Plant</b>")["url"])
        assert "<b>" not in shown.text
        wrong = sent(browser, shown, **{"setting.base_url": demo.base_url, "secret.token": TYPED})
        assert wrong.status_code == 422
        assert TYPED not in wrong.text
        assert house.typed() == []
        assert house.server.rows("SELECT 1 FROM connections") == []
        done = sent(browser, shown, **{"setting.base_url": demo.base_url, "secret.token": DEMO_TOKEN})
        assert done.status_code == 200, done.text
    finally:
        demo.client.close()
        demo.kill()
    row = house.connection("<b>Plant</b>")
    assert Path(row["secrets"]["token"].removeprefix("file://")).read_text() == DEMO_TOKEN
    held = str(house.server.rows("SELECT * FROM audit")) + (house.home / "api.out").read_text()
    assert DEMO_TOKEN not in held
    assert TYPED not in held


def test_a_form_that_is_sent_twice_makes_one_connection_and_both_are_told_that_it_is_done(
    house: House, browser: httpx.Client, tmp_path: Path
) -> None:
    demo = Demo(tmp_path / "demo", "--rate", "0", "--factor", "0.1", "--requests", "0").start()
    try:
        shown = opened(
            browser, house.link(system="demo", name="Plant", return_url="https://a.example/")["url"]
        )
        typed = {"setting.base_url": demo.base_url, "secret.token": DEMO_TOKEN}
        with ThreadPoolExecutor(2) as pool:
            said = [pool.submit(sent, browser, shown, **typed) for _ in range(2)]
            texts = [each.result().text for each in said]
    finally:
        demo.client.close()
        demo.kill()
    assert all("is connected" in text and "https://a.example/" in text for text in texts)
    assert len(house.server.rows("SELECT 1 FROM connections")) == 1
    assert house.typed() == [DEMO_TOKEN]
    assert "is connected" in sent(browser, shown, **typed).text
    assert "is connected" in browser.get(str(shown.url)).text


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "10.0.0.1", "[fd12::1]"])
def test_a_customer_reaches_nothing_of_our_networks_unless_whoever_made_the_link_allows_it(
    house: House, browser: httpx.Client, host: str
) -> None:
    shown = opened(browser, house.link(system="demo", name="Plant", private_addresses=False)["url"])
    typed = {"setting.base_url": f"http://{host}:{urlsplit(house.server.url).port}", "secret.token": TYPED}
    said = sent(browser, shown, **typed)
    assert said.status_code == 422
    assert "can be reached from the internet" in said.text
    assert house.typed() == []
    assert house.server.rows("SELECT network FROM connect_links") == [{"network": {"addresses": "public"}}]


def test_settings_of_whoever_made_the_link_may_lead_anywhere(house: House) -> None:
    house.link(system="demo", name="P", settings={"base_url": "http://10.0.0.1"}, private_addresses=False)
    assert house.server.rows("SELECT network FROM connect_links") == [{"network": {}}]


def test_a_store_that_refuses_is_told_without_its_name(
    house: House, browser: httpx.Client, tmp_path: Path
) -> None:
    (tmp_path / "gone").mkdir()
    link = house.link(system="demo", name="Plant", store=f"file://{tmp_path}/gone/")
    shown = opened(browser, link["url"])
    (tmp_path / "gone").rmdir()
    said = sent(browser, shown, **{"setting.base_url": "http://127.0.0.1:9", "secret.token": TYPED})
    assert said.status_code == 422
    assert "tell whoever sent you this link" in said.text
    assert str(tmp_path) not in said.text


def test_a_system_that_says_nothing_holds_few_threads(house: House, browser: httpx.Client) -> None:
    """Whoever has a link names the system: one that never answers must not keep all others from the API."""
    with ThreadPoolExecutor(6) as pool, socket.create_server(("127.0.0.1", 0), backlog=16) as silent:
        shown = opened(browser, house.link(system="demo", name="Plant")["url"])
        typed = {
            "setting.base_url": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "secret.token": TYPED,
        }
        said = as_completed([pool.submit(sent, browser, shown, **typed) for _ in range(6)])
        first = [next(said).result() for _ in range(4)]
        assert all("Other trials are under way" in each.text for each in first)
        assert {each.status_code for each in first} == {422}
