"""Webhooks that are registered at the demo system: told of changes while they last, and gone when their time is over."""

import base64
from pathlib import Path
from typing import Any

import httpx
import pytest

from scheduler.embedded.demo.hooks.subscriptions import LASTS, MOST, SUSPENDED_AFTER
from scheduler.embedded.demo.plant.memory.journal import JournalError

from .conftest import Demo  # type: ignore[import-not-found]

SECRET = f"whsec_{base64.b64encode(b'k' * 32).decode()}"
URL = "http://127.0.0.1:1/webhooks/7"


def ask(demo: Demo, method: str, path: str = "", body: Any = None, token: str = "first") -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    found: httpx.Response = demo.run(
        lambda client: client.request(method, f"/api/v1/webhooks{path}", json=body, headers=headers)
    )
    return found


def listed(demo: Demo) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask(demo, "GET").json()["data"]
    return found


def create(demo: Demo, **body: Any) -> dict[str, Any]:
    answer = ask(demo, "POST", body={"url": URL, "secret": SECRET} | body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()["data"]
    return made


def test_it_is_created_listed_renewed_suspended_and_removed(demo: Demo) -> None:
    made = create(demo)
    assert (made["url"], made["status"]) == (URL, "active")
    assert listed(demo) == [made]
    demo.now += 1000
    renewed = ask(demo, "POST", f"/{made['id']}/renew").json()["data"]
    assert renewed["expires_at"] > made["expires_at"]
    for status in ("suspended", "active"):
        ask(demo, "PATCH", f"/{made['id']}", {"status": status})
        assert [each["status"] for each in listed(demo)] == [status]
    assert ask(demo, "DELETE", f"/{made['id']}").status_code == 204
    assert listed(demo) == []


def test_a_secret_is_told_once_and_only_by_who_chose_it(demo: Demo) -> None:
    assert "secret" not in create(demo)
    answer = ask(demo, "POST", body={"url": URL})
    chosen = answer.json()["data"].pop("secret")
    assert chosen.startswith("whsec_")
    assert chosen not in str(listed(demo))
    assert SECRET not in str(listed(demo))


def test_one_whose_time_is_over_is_gone(demo: Demo) -> None:
    create(demo)
    demo.now += LASTS
    assert listed(demo) == []


def test_one_that_nobody_listens_to_is_suspended_until_it_is_enabled(demo: Demo) -> None:
    made = create(demo)
    system = demo.system
    system.hooks._senders[made["id"]].in_vain = SUSPENDED_AFTER
    assert [each["status"] for each in listed(demo)] == ["suspended"]
    assert made["id"] not in system.hooks._senders
    ask(demo, "PATCH", f"/{made['id']}", {"status": "active"})
    assert [each["status"] for each in listed(demo)] == ["active"]


def test_a_restart_forgets_none(tmp_path: Path) -> None:
    first = Demo(state=tmp_path / "plant.journal")
    made, gone = create(first), create(first)
    ask(first, "DELETE", f"/{gone['id']}")
    first.system.hooks.close()
    assert (tmp_path / "plant.journal.webhooks").stat().st_mode & 0o077 == 0, "secrets are in it"
    second = Demo(state=tmp_path / "plant.journal")
    assert listed(second) == [made]
    second.system.hooks.close()
    (tmp_path / "plant.journal.webhooks").write_text("[{")
    with pytest.raises(JournalError, match="can't be read"):
        Demo(state=tmp_path / "plant.journal")


@pytest.mark.parametrize(
    "body",
    [
        None, [], {}, {"url": "ftp://x/"}, {"url": "http://"}, {"url": "http://[x"}, {"url": 7}, {"url": "http://x" * 900},
        {"url": URL, "secret": "plain"}, {"url": URL, "secret": None}, {"url": URL, "secret": 7},
    ],
    ids=lambda body: str(body)[:40],
)  # fmt: skip
def test_what_can_be_none_is_answered_400(demo: Demo, body: Any) -> None:
    assert ask(demo, "POST", body=body).status_code == 400
    assert listed(demo) == []


@pytest.mark.parametrize("body", [{}, {"status": "gone"}, {"status": ["active"]}, {"url": URL}, []])
def test_nothing_but_the_status_is_changed(demo: Demo, body: Any) -> None:
    made = create(demo)
    assert ask(demo, "PATCH", f"/{made['id']}", body).status_code == 400
    assert listed(demo) == [made]


@pytest.mark.parametrize(("method", "path"), [("PATCH", "/no"), ("DELETE", "/no"), ("POST", "/no/renew")])
def test_one_that_is_not_there_is_answered_404(demo: Demo, method: str, path: str) -> None:
    assert ask(demo, method, path, {"status": "active"}).status_code == 404


def test_a_stranger_registers_nothing(demo: Demo) -> None:
    assert ask(demo, "POST", body={"url": URL}, token="guessed").status_code == 401
    assert ask(demo, "GET", token="guessed").status_code == 401


def test_there_is_room_for_so_many(demo: Demo) -> None:
    for _ in range(MOST):
        create(demo)
    assert ask(demo, "POST", body={"url": URL, "secret": SECRET}).status_code == 400
