"""What a program gets from the client, with a transport in the API's place."""

import json
from typing import Any
from uuid import UUID

import httpx
import pytest

from scheduler.client import ApiError, Client, Denied, NotThere, Unavailable, Wrong
from scheduler.client.sending import LONGEST_WAIT, Sending
from worker.errors import InvalidInput, NotFound, Transient

RUN = "0199d2c4-77aa-7c10-8000-000000000001"
TOKEN = "planted-token"
Answer = httpx.Response | httpx.HTTPError


class Api:
    """Answers what it is told to, in that order, and remembers what was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []
        self.waits: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, httpx.HTTPError):
            raise answer
        return answer

    def client(self, **given: Any) -> Client:
        client = Client("http://api/", TOKEN, transport=httpx.MockTransport(self), **given)
        client._sending._sleep = self.waits.append
        return client


def problem(status: int, code: str, **more: Any) -> httpx.Response:
    content = {"code": code, "detail": "So it is.", "request_id": "api-1", **more}
    return httpx.Response(status, json=content)


def run_json(state: str = "queued", **more: Any) -> dict[str, Any]:
    times = {
        "created_at": "2026-03-01T06:00:00Z",
        "started_at": None,
        "finished_at": None,
        "not_before": None,
    }
    counts = dict.fromkeys(("read", "created", "updated", "deleted", "refused", "rejected"), 0)
    shape = {
        "id": RUN,
        "connection": "plant",
        "stream": "parts",
        "track": "live",
        "state": state,
        "cause": "api",
    }
    shape |= {
        "lane": "demand",
        "attempt": 0,
        "wait_reason": None,
        "pages": 0,
        "records": counts,
        "error": None,
    }
    return shape | times | {"merged_into": None} | more


PAUSED = httpx.Response(200, json={"connection": "plant", "paused": True, "changed": True, "running": 0})


def test_a_request_shows_the_token_in_its_header_alone() -> None:
    api = Api(PAUSED)
    assert api.client().pause("Plant /North?").paused
    [request] = api.asked
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.url.raw_path == b"/v1/connections/Plant%20%2FNorth%3F/pause"
    assert TOKEN not in str(request.url)


def test_a_token_is_asked_for_before_each_request() -> None:
    tokens = iter(["old", "new"])
    api = Api(PAUSED, PAUSED)
    client = Client("http://api", lambda: next(tokens), transport=httpx.MockTransport(api))
    client.pause("a")
    client.pause("a")
    assert [request.headers["authorization"] for request in api.asked] == ["Bearer old", "Bearer new"]


@pytest.mark.parametrize(
    "trouble",
    [httpx.ReadTimeout("x"), httpx.ReadError("x"), httpx.ConnectError("x"), problem(503, "database_away"),
     problem(429, "too_many_requests"), problem(409, "idempotency_in_flight"), httpx.Response(502)],
    ids=repr,
)  # fmt: skip
def test_a_post_that_was_cut_off_is_sent_again_under_the_same_key(trouble: Answer) -> None:
    api = Api(trouble, PAUSED)
    assert api.client().pause("plant").paused
    first, second = (request.headers["idempotency-key"] for request in api.asked)
    assert first == second
    assert len(api.waits) == 1


def test_two_posts_have_two_keys() -> None:
    api = Api(PAUSED, PAUSED)
    client = api.client()
    client.pause("plant")
    client.pause("plant")
    assert len({request.headers["idempotency-key"] for request in api.asked}) == 2


@pytest.mark.parametrize("trouble", [httpx.ReadError("x"), problem(503, "database_away")], ids=repr)
def test_a_change_that_may_have_been_received_is_not_sent_again(trouble: Answer) -> None:
    api = Api(trouble)
    with pytest.raises(Unavailable):
        api.client().change_connection("plant", {"budget": "x"})
    assert api.waits == []


def test_what_was_never_received_is_sent_again_whatever_it_is() -> None:
    gone = httpx.Response(200, json={"connection": "plant", "data": "keep"})
    api = Api(httpx.ConnectError("x"), gone)
    assert api.client().delete_connection("plant", data="keep").data == "keep"


def test_the_api_says_how_long_to_wait_within_reason() -> None:
    def told(seconds: str) -> httpx.Response:
        return httpx.Response(429, headers={"Retry-After": seconds}, json={"code": "slow"})

    api = Api(told("7"), told("100000"), told("nonsense"), PAUSED)
    api.client().pause("plant")
    assert api.waits[:2] == [7.0, LONGEST_WAIT]
    assert 0 < api.waits[2] < 5


def test_it_gives_up_in_the_end_and_says_what_was_said() -> None:
    api = Api(*[httpx.ReadTimeout("x")] * 4)
    with pytest.raises(Unavailable, match="did not answer in time"):
        api.client().pause("plant")
    assert len(api.asked) == 4


@pytest.mark.parametrize(
    ("status", "kind", "ours"),
    [(401, Denied, ApiError), (403, Denied, ApiError), (404, NotThere, NotFound), (410, NotThere, NotFound),
     (400, Wrong, InvalidInput), (409, Wrong, InvalidInput), (412, Wrong, InvalidInput), (422, Wrong, InvalidInput),
     (307, Wrong, ApiError), (500, Unavailable, Transient)],
)  # fmt: skip
def test_each_refusal_is_of_a_kind_and_keeps_what_finds_it(
    status: int, kind: type[ApiError], ours: type[Exception]
) -> None:
    api = Api(*[problem(status, "so", hint="Do this.", place="body.name")] * 4)
    with pytest.raises(kind) as caught:
        api.client().change_connection("plant", {})
    error = caught.value
    assert isinstance(error, ours)
    assert (error.code, error.status, error.request_id, error.place) == ("so", status, "api-1", "body.name")
    assert error.message == "So it is."
    assert TOKEN not in repr(vars(error))


@pytest.mark.parametrize(
    "answer", [b"<html>", b"[]", b"null", b'"planted"', b"", b'{"runs": null, "records": null, "next": null}']
)
def test_an_answer_of_somebody_else_is_no_traceback(answer: bytes) -> None:
    for asked in (
        lambda client: client.run(RUN),
        lambda client: list(client.runs()),
        lambda client: list(client.records("a", "b")),
        lambda client: client.record("a", "b", "c"),
    ):  # type: Callable[[Client], object]
        api = Api(httpx.Response(200, content=answer))
        with pytest.raises(ApiError) as caught:
            asked(api.client())
        assert caught.value.code == "no_headrace"


def test_pages_follow_each_other_as_they_are_needed() -> None:
    api = Api(
        httpx.Response(200, json={"runs": [run_json(), run_json()], "next": "there"}),
        httpx.Response(
            200, json={"runs": [run_json("failed", error={"code": "x", "words": "y"})], "next": None}
        ),
    )
    runs = api.client().runs(connection="plant", state="failed")
    assert api.asked == []
    found = list(runs)
    assert [run.id for run in found] == [UUID(RUN)] * 3
    assert found[-1].error is not None
    assert found[-1].error.code == "x"
    assert found[0].open
    assert api.asked[0].url.params.multi_items() == [
        ("connection", "plant"),
        ("state", "failed"),
        ("limit", "200"),
    ]
    assert api.asked[1].url.params["cursor"] == "there"


def test_what_a_newer_api_says_beside_is_left_out() -> None:
    api = Api(httpx.Response(200, json=run_json(brand_new={"a": 1})))
    assert api.client().run(RUN).state == "queued"


def test_a_record_keeps_every_byte_of_what_its_system_sent() -> None:
    raw = '{"b": 1.10,  "a": 12345678901234567890123, "b": [1e400], "c": "\\u00e4}]"}'
    shown = f'{{"key": "k", "version": 3, "observed_at": "2026-03-01T06:00:00Z", "record": {raw}}}'
    api = Api(
        httpx.Response(200, text=f'{{"records": [{shown}, \n{shown}], "next": "k"}}'),
        httpx.Response(200, text='{"records": [], "next": null}'),
        httpx.Response(200, text=shown),
    )
    client = api.client()
    found = [*client.records("plant", "parts", deleted=True), client.record("plant", "parts", "a/b")]
    assert [record.raw for record in found] == [raw] * 3
    assert found[0].record["c"] == "ä}]"
    assert api.asked[0].url.params["deleted"] == "true"
    assert api.asked[2].url.raw_path.endswith(b"/records/a%2Fb")


def test_a_change_goes_with_the_state_that_it_was_made_to() -> None:
    shape = {
        "id": 1, "name": "plant", "system": "demo", "environment": "live", "paused": False, "disconnected": False,
        "created_at": "2026-03-01T06:00:00Z", "updated_at": "2026-03-01T06:00:00Z",
    }  # fmt: skip
    api = Api(*[httpx.Response(200, json=shape, headers={"ETag": '"abc"'})] * 2)
    client = api.client()
    found = client.connection("plant")
    client.change_connection("plant", {"budget": None}, etag=found.etag)
    assert api.asked[1].headers["if-match"] == '"abc"'
    assert json.loads(api.asked[1].content) == {"budget": None}


@pytest.mark.parametrize(
    "url",
    ["", "api", "ftp://api", "https://", "https://me:planted@api", "https://:planted@api", "https://api?planted=1",
     "https://[::1", "https://api:planted", "https://api:99999", "https://api .test", "https://äpi"],
)  # fmt: skip
def test_what_is_no_address_of_an_api_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Sending(url, TOKEN)
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize("token", ["", "hr_live_planted\n", "hr_live planted", "hr_live_plantéd"])
def test_what_can_be_no_token_is_refused_unsent_and_not_repeated(token: str) -> None:
    api = Api()
    client = Client("http://api", lambda: token, transport=httpx.MockTransport(api))
    with pytest.raises(InvalidInput) as caught:
        client.pause("plant")
    assert (caught.value.code, "plant" in str(caught.value)) == ("bad_token", False)
    assert api.asked == []


def test_who_is_sent_on_is_told_where_to_and_the_token_stays() -> None:
    api = Api(httpx.Response(301, headers={"Location": "https://me:planted@api.test:8443/x?planted=1"}))
    with pytest.raises(Wrong, match=r"sends on to https://api\.test:8443,") as caught:
        api.client().pause("plant")
    assert len(api.asked) == 1
    assert caught.value.hint
    assert "planted" not in str(caught.value)
