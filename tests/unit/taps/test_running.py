"""What becomes of a tap that runs: a real process each time, well-behaved or not."""

import json
import os
from pathlib import Path

import psutil
import pytest
from servers.taps.plant import Moments, Plant, after
from structlog.testing import capture_logs

from worker.connectors.protocols.singer_calls import Asked, Choice, told_by
from worker.errors import NeedsOperator, NotFound, Throttled, Transient
from worker.taps.folders import PREFIX, SHARED_MEMORY, sweep_folders

PASSWORD = "h0pper-in-the-hall"


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def leftovers(plant: Plant) -> list[Path]:
    """Folders of ours that no living tap holds, and those that one does."""
    return [*plant.home.glob(f"taps/work/{PREFIX}*")]


def test_rows_and_the_last_state_come_and_all_is_gone_afterwards(plant: Plant) -> None:
    rows, told = plant.read(plant.asked())
    assert [row["id"] for row in rows] == [0, 1, 2, 3, 4]
    assert json.loads(told.state or "") == {"bookmarks": {"plant-orders": "2026-01-01T00:00:04Z"}}
    assert all(map(is_gone, plant.started()))
    assert leftovers(plant) == []


def test_the_next_run_goes_on_from_the_state(plant: Plant) -> None:
    _, told = plant.read(plant.asked())
    plant.has(7)
    first = plant.asked()
    again = Asked(first.tap, first.config, choice=first.choice, state=told.state)
    rows, _ = plant.read(again)
    assert [row["id"] for row in rows] == [4, 5, 6]


def test_another_worker_goes_on_from_the_state_of_the_last_batch(plant: Plant) -> None:
    asked = plant.asked(does="hang", after=5)
    plant.has(9)
    told = told_by(plant.ask(asked))
    healthy = plant.asked()
    following = after(Asked(healthy.tap, healthy.config, choice=healthy.choice), told)
    other = plant.another()
    response = plant.ask(following, carrier=other)
    other.close()
    assert [row["id"] for row in json.loads(response.body)] == [3, 4, 5, 6, 7, 8]


def test_a_batch_that_was_dropped_can_be_had_again(plant: Plant) -> None:
    asked = plant.asked(does="hang", after=5)
    first = plant.ask(asked)
    following = after(asked, told_by(first))
    plant.carrier._beat = 0.1
    empty = plant.ask(following)
    assert json.loads(empty.body) == []
    assert plant.ask(following) is empty
    assert len(plant.started()) == 2, "one to discover, one to read"


def test_a_batch_that_finds_no_room_is_not_lost(plant: Plant) -> None:
    class Crowded(Moments):
        def comes(self, size: int) -> None:
            raise Transient("no_room", "Other pages come first.")

    asked = plant.asked()
    carrier = plant.carrier
    with pytest.raises(Transient):
        carrier.exchange(plant.errand(asked, secrets={}, moments=Crowded()))
    (session,) = carrier._open
    again = Asked(asked.tap, asked.config, choice=asked.choice, session=session)
    assert len(json.loads(plant.ask(again).body)) == 5


def test_a_tap_that_writes_nothing_gives_empty_batches_until_it_is_taken_to_hang(plant: Plant) -> None:
    plant.carrier = plant.another(silence=1.0)
    plant.carrier._beat = 0.3
    asked = plant.asked(does="hang")
    with pytest.raises(Transient) as caught:
        plant.read(asked)
    assert caught.value.code == "tap_hangs"
    assert all(map(is_gone, plant.started()))


def test_a_run_that_lets_go_ends_its_tap_and_whatever_that_started(plant: Plant) -> None:
    plant.ask(plant.asked(does="child", after=4), run="7")
    assert not any(map(is_gone, plant.started()[-2:]))
    plant.carrier.let_go("8")
    assert not any(map(is_gone, plant.started()[-2:]))
    plant.carrier.let_go("7")
    assert all(map(is_gone, plant.started()))
    assert leftovers(plant) == []


@pytest.mark.parametrize(
    ("does", "kind", "code", "words"),
    [
        ("crash", Transient, "tap_failed", "the plant burnt down"),
        ("refused", NeedsOperator, "tap_refused", "401 Client Error"),
        ("dies", Transient, "tap_killed", "SIGKILL"),
        ("memory", Transient, "tap_out_of_memory", "HEADRACE_TAPS_MEMORY"),
        ("batch", NeedsOperator, "tap_sends_files", "batch_config"),
    ],
)
def test_how_a_tap_ends_says_what_is_done_next(
    plant: Plant, does: str, kind: type[Exception], code: str, words: str
) -> None:
    asked = plant.asked(does=does, after=3)
    with pytest.raises(kind) as caught:
        plant.read(asked)
    assert caught.value.code == code  # type: ignore[attr-defined]
    assert words in str(caught.value)


def test_what_came_before_a_crash_comes_with_its_state(plant: Plant) -> None:
    asked = plant.asked(does="crash", after=3)
    response = plant.ask(asked)
    assert [row["id"] for row in json.loads(response.body)] == [0, 1, 2]
    assert "00:00:01" in (told_by(response).state or "")
    with pytest.raises(Transient):
        plant.ask(after(asked, told_by(response)))


def test_a_flood_of_words_is_logged_in_part_and_no_secret_with_it(plant: Plant) -> None:
    with capture_logs() as logs:
        rows, _ = plant.read(plant.asked(does="flood", token="{secret:token}"), token=PASSWORD)
    said = [each for each in logs if each["event"] == "tap_said"]
    more = [each for each in logs if each["event"] == "tap_said_more"]
    assert len(rows) == 5
    assert 0 < len(said) <= 201
    assert sum(each["lines"] for each in more) >= 19_700
    assert PASSWORD not in str(logs)


def test_junk_between_messages_is_overlooked_and_said(plant: Plant) -> None:
    with capture_logs() as logs:
        rows, _ = plant.read(plant.asked(does="junk", after=2))
    assert len(rows) == 5
    assert next(each["words"] for each in logs if each["event"] == "tap_noise") == "hello, I am no message"


def test_a_program_that_is_no_tap_is_told_from_one(plant: Plant) -> None:
    echo = "/bin/echo"
    carrier = plant.another(allowed=(echo,))
    with pytest.raises(NeedsOperator) as caught:
        plant.ask(Asked(echo, {}, catalog="none", choice=Choice("any")), carrier=carrier)
    assert caught.value.code == "tap_speaks_otherwise"


def test_a_line_that_is_too_long_is_set_aside_and_the_others_come(plant: Plant) -> None:
    asked = plant.asked(does="huge", after=2)
    response = plant.ask(asked)
    odd = told_by(response).odd
    assert len(json.loads(response.body)) == 5
    assert odd[0].code == "line_too_long"
    assert len(odd[0].begins) <= 2000


def test_a_record_that_is_not_quite_json_is_handed_on_for_the_reader_to_judge(plant: Plant) -> None:
    response = plant.ask(plant.asked(does="nan", after=2))
    assert b'{"id": 98, "price": NaN, "changed_at": "1"}' in response.body


def test_records_of_other_streams_are_left_out(plant: Plant) -> None:
    rows, _ = plant.read(plant.asked(does="others", after=2))
    assert len(rows) == 5


def test_a_table_that_came_whole_says_so(plant: Plant) -> None:
    whole, one = plant.read(plant.asked(stream="sites", method="full_table", versions=True))
    _, never = plant.read(
        plant.asked(stream="sites", method="full_table", versions=True, never_activates=True)
    )
    _, without = plant.read(plant.asked(stream="sites", method="full_table"))
    assert len(whole) == 5
    assert (one.versions, never.versions, without.versions) == ("activated", "open", "none")
    assert one.state is None


def test_a_tap_sees_few_variables_and_its_files_are_for_nobody_else(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_API_TOKEN", PASSWORD)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.com:3128")
    rows, _ = plant.read(plant.asked(does="shows"))
    seen = json.loads(rows[0]["name"])
    certificates = {"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"}
    assert set(seen["env"]) - {"LC_CTYPE", "NO_PROXY", "no_proxy"} - certificates == {
        "HOME", "HTTPS_PROXY", "LANG", "PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUTF8", "TMPDIR",
    }  # fmt: skip
    assert seen["mode"] == "0o600"
    assert seen["config"].startswith(str(SHARED_MEMORY))
    assert not Path(seen["config"]).exists()
    assert not Path(seen["home"]).exists()


def test_a_stream_that_the_tap_lacks_is_named_with_the_nearest(plant: Plant) -> None:
    with pytest.raises(NotFound) as caught:
        plant.read(plant.asked(stream="plant-order"))
    assert "plant-orders" in str(caught.value)


def test_a_place_for_a_secret_that_is_not_there_is_named(plant: Plant) -> None:
    with pytest.raises(NeedsOperator) as caught:
        plant.read(plant.asked(token="{secret:api_key}"))
    assert "'api_key'" in str(caught.value)


def test_the_catalog_is_found_once_for_several_runs(plant: Plant) -> None:
    for _ in range(3):
        plant.read(plant.asked())
    assert len(plant.started()) == 4


def test_a_tap_that_finds_nothing_is_run_without_a_catalog(plant: Plant) -> None:
    asked = plant.asked()
    rows, _ = plant.read(Asked(asked.tap, asked.config, catalog="none", choice=asked.choice))
    assert len(rows) == 5
    assert len(plant.started()) == 1


def test_what_a_killed_keeper_left_is_swept_and_what_is_in_use_is_not(plant: Plant, tmp_path: Path) -> None:
    plant.ask(plant.asked(does="hang", after=3))
    stale = plant.home / "taps" / "work" / f"{PREFIX}stale"
    stale.mkdir()
    (stale / "config.json").write_text("{}")
    os.utime(stale, (0, 0))
    in_use = [path for path in leftovers(plant) if path != stale]
    for path in in_use:
        os.utime(path, (0, 0))
    assert sweep_folders(plant.home) == 1
    assert not stale.exists()
    assert leftovers(plant) == in_use


def test_a_worker_that_is_killed_takes_the_tap_along(plant: Plant) -> None:
    plant.ask(plant.asked(does="child", after=4))
    process = next(iter(plant.carrier._open.values())).session._process
    assert process is not None
    stdin = process._keeper.stdin
    assert stdin is not None
    stdin.close()  # as the end of a worker does, however it comes
    process._keeper.wait(10)
    assert all(map(is_gone, plant.started()))
    assert leftovers(plant) == []


def test_a_connection_with_a_network_of_its_own_is_refused(plant: Plant) -> None:
    errand = plant.errand(plant.asked(), secrets={}, network={"proxy": "http://proxy.example.com"})
    with pytest.raises(NeedsOperator) as caught:
        plant.carrier.exchange(errand)
    assert caught.value.code == "tap_has_no_network"


def test_too_many_requests_are_told_as_such() -> None:
    from worker.taps.words import failure_of  # noqa: PLC0415

    assert isinstance(failure_of(1, ["ERROR 429 Too Many Requests"], tap="tap-x"), Throttled)
