"""Everything that is said, by us or by a library, comes out in one form and without secrets."""

import io
import json
import logging
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import structlog

from worker.config import Settings
from worker.telemetry.files import FileOutput
from worker.telemetry.logs import bind_run, configure_logging
from worker.telemetry.redaction import MASK, redactor

SECRET = "planted-5ecret-value"
Configure = Callable[..., io.StringIO]


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Configure]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    hooks = (sys.excepthook, threading.excepthook, sys.unraisablehook)
    redactor.add(SECRET)

    def configured(file: Path | None = None, **settings: Any) -> io.StringIO:
        stream = io.StringIO()
        configure_logging(Settings(**settings), process="worker", file=file, stream=stream)
        return stream

    yield configured
    for handler in root.handlers[:]:
        if handler not in before[0]:
            root.removeHandler(handler)
            handler.close()
    root.setLevel(before[1])
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_has_its_time_place_and_the_context_of_its_run(configure: Configure) -> None:
    out = configure()
    with bind_run(request_id="r-1", run_id=7, connection="plant", stream="assets", attempt=2):
        structlog.get_logger().info("page_loaded", records=500)
    structlog.get_logger().info("idle")

    loaded, idle = lines(out)
    assert list(loaded)[:6] == ["timestamp", "level", "event", "logger", "process", "pid"]
    assert loaded["timestamp"].endswith("Z")
    assert len(loaded["timestamp"]) == len("2026-01-02T03:04:05.678Z")
    assert loaded["event"] == "page_loaded"
    assert loaded["level"] == "info"
    assert loaded["process"] == "worker"
    assert loaded["records"] == 500
    context = {"request_id": "r-1", "run_id": "7", "connection": "plant", "stream": "assets", "attempt": 2}
    assert context.items() <= loaded.items()
    assert not context.keys() & idle.keys()


def test_what_an_earlier_task_left_in_the_thread_is_not_seen(configure: Configure) -> None:
    out = configure()
    structlog.contextvars.bind_contextvars(stream="left over")
    with bind_run(run_id=1):
        structlog.get_logger().info("claimed")

    assert "stream" not in lines(out)[0]


@pytest.mark.parametrize(
    "name", ["celery.worker", "kombu", "uvicorn.error", "sqlalchemy.engine", "alembic.runtime"]
)
def test_libraries_go_through_the_same_chain(configure: Configure, name: str) -> None:
    out = configure()
    with bind_run(run_id=3):
        logging.getLogger(name).warning("broken: %s", SECRET)

    (line,) = lines(out)
    assert line["event"] == f"broken: {MASK}"
    assert line["logger"] == name
    assert line["run_id"] == "3"
    assert line["process"] == "worker"


def test_an_exception_is_text_without_the_secret_and_without_local_variables(configure: Configure) -> None:
    out = configure()

    def fail() -> None:
        note = "a-local-variable"
        assert note
        raise ValueError(f"token {SECRET} refused")

    for say in (structlog.get_logger().exception, logging.getLogger("celery").exception):
        try:
            fail()
        except ValueError:
            say("failed")

    for line in lines(out):
        assert f"ValueError: token {MASK} refused" in line["exception"]
        assert "Traceback" in line["exception"]
    assert len(lines(out)) == 2
    assert SECRET not in out.getvalue()
    assert "= 'a-local-variable'" not in out.getvalue()


def test_an_exception_that_nobody_caught_is_redacted(
    configure: Configure, capsys: pytest.CaptureFixture[str]
) -> None:
    out = configure()

    def fail() -> None:
        raise RuntimeError(SECRET)

    thread = threading.Thread(target=fail, name="renewer")
    thread.start()
    thread.join()
    try:
        fail()
    except RuntimeError as exc:
        sys.excepthook(type(exc), exc, exc.__traceback__)

    in_thread, in_main = lines(out)
    assert in_thread["event"] == "uncaught_exception_in_thread"
    assert in_thread["thread"] == "renewer"
    assert in_main["event"] == "uncaught_exception"
    assert f"RuntimeError: {MASK}" in in_main["exception"]
    said = capsys.readouterr()
    assert SECRET not in out.getvalue() + said.out + said.err


def test_of_the_headers_of_an_answer_only_the_names_are_said(configure: Configure) -> None:
    """A log-in by cookies: the line is made before anybody knows that it is a secret."""
    stream = configure(log_level="DEBUG")
    headers = [(b"Set-Cookie", b".ASPXAUTH=planted-session; path=/"), (b"X-Odd", b'it\'s "planted" too')]
    line = f"receive_response_headers.complete return_value={(b'HTTP/1.1', 204, b'No Content', headers)!r}"
    logging.getLogger("httpcore.http11").debug(line)
    said = stream.getvalue()
    assert "planted" not in said
    assert all(part in said for part in ("204", "No Content", "Set-Cookie", "X-Odd"))


def test_the_request_lines_of_httpx_are_for_debugging(configure: Configure) -> None:
    out = configure()
    logging.getLogger("httpx").info("HTTP Request: GET https://plant.example.com/?q=1")
    logging.getLogger("httpx").warning("odd")
    assert [line["event"] for line in lines(out)] == ["odd"]

    out = configure(log_level="DEBUG")
    logging.getLogger("httpx").info("HTTP Request: GET https://plant.example.com/?q=%s", SECRET)
    assert [(line["level"], line["event"]) for line in lines(out)] == [
        ("debug", f"HTTP Request: GET https://plant.example.com/?q={MASK}")
    ]


def test_configuring_twice_says_everything_once(configure: Configure, tmp_path: Path) -> None:
    first = configure(file=tmp_path / "a.log")
    second = configure(file=tmp_path / "logs" / "b.log", log_level="WARNING")
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")

    assert first.getvalue() == ""
    assert [line["event"] for line in lines(second)] == ["loud"]
    assert [json.loads(line)["event"] for line in (tmp_path / "logs" / "b.log").read_text().splitlines()] == [
        "loud"
    ]
    assert not (tmp_path / "a.log").exists()


def test_a_terminal_shows_words_and_no_control_characters(configure: Configure) -> None:
    out = configure(log_format="console")
    with bind_run(connection="plant"):
        structlog.get_logger().info("page_loaded", words=f"\x1b[2J\x1b]0;x\x07 {SECRET}")

    assert "page_loaded" in out.getvalue()
    assert "connection=plant" in out.getvalue()
    assert MASK in out.getvalue()
    assert "\x1b" not in out.getvalue()
    assert "\x07" not in out.getvalue()


def test_own_passwords_are_kept_out_of_logs(configure: Configure) -> None:
    out = configure(
        database_url="postgresql://headrace:p%40ss-word-1@db/headrace",
        broker_url="redis://:broker-password@mq:6379/0",
        api_token="bootstrap-token",
    )
    structlog.get_logger().info(
        "odd", a="p%40ss-word-1", b="p@ss-word-1", c="broker-password", d="bootstrap-token"
    )

    assert [lines(out)[0][key] for key in "abcd"] == [MASK] * 4


def test_a_line_that_can_not_be_written_stops_nothing_and_shows_nothing(
    configure: Configure, capsys: pytest.CaptureFixture[str]
) -> None:
    out = configure()
    out.close()
    handler = logging.getLogger().handlers[-1]
    for words in ("lost %s", "lost %s %s"):
        handler.handle(logging.LogRecord("celery", logging.WARNING, "x.py", 1, words, (SECRET,), None))

    said = capsys.readouterr().err
    assert SECRET not in said
    assert said.count("could not be written: ValueError") == 1
    assert said.count("could not be written: TypeError") == 1


def test_a_log_folder_that_vanished_stops_nothing(
    configure: Configure, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = configure(file=tmp_path / "logs" / "a.log")
    structlog.get_logger().info("first")
    shutil.rmtree(tmp_path / "logs")
    structlog.get_logger().info("second")
    (tmp_path / "logs").mkdir()
    structlog.get_logger().info("third")

    assert [line["event"] for line in lines(out)] == ["first", "second", "third"]
    assert "could not be written: FileNotFoundError" in capsys.readouterr().err
    assert "third" in (tmp_path / "logs" / "a.log").read_text()


def test_words_that_are_no_text_are_written_all_the_same(configure: Configure, tmp_path: Path) -> None:
    out = configure(file=tmp_path / "a.log")
    structlog.get_logger().info("odd", words="\ud800 \u2028 \n", number=float("nan"), keys={5: object()})

    assert len(out.getvalue().splitlines()) == 1
    assert len((tmp_path / "a.log").read_text().splitlines()) == 1


def _write(file: str, worker: int, count: int) -> None:
    output = FileOutput(Path(file), most_bytes=2_000, kept=200)
    logger = logging.getLogger("rotating-alone")
    logger.setLevel(logging.DEBUG)  # whatever an earlier test left on the root
    logger.propagate = False
    logger.addHandler(output)
    for number in range(count):
        logger.warning("%s", f"{worker}-{number}-" + "x" * 80)
    output.close()


def test_several_processes_share_a_file_that_is_rotated_and_lose_no_line(tmp_path: Path) -> None:
    file = tmp_path / "worker.log"
    spawn = get_context("spawn")
    processes = [spawn.Process(target=_write, args=(str(file), worker, 400)) for worker in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)

    files = [path for path in tmp_path.iterdir() if path.suffix != ".lock"]
    found = [line for path in files for line in path.read_text().splitlines()]
    assert len(files) > 3
    assert {line.rsplit("-", 1)[0] for line in found} == {f"{w}-{n}" for w in range(3) for n in range(400)}
    assert len(found) == 1200


def test_only_so_many_old_files_are_kept(tmp_path: Path) -> None:
    output = FileOutput(tmp_path / "a.log", most_bytes=100, kept=2)
    logger = logging.getLogger("rotating-alone")
    logger.setLevel(logging.DEBUG)  # whatever an earlier test left on the root
    logger.propagate = False
    logger.addHandler(output)
    for number in range(50):
        logger.warning("%04d %s", number, "x" * 60)
    logger.removeHandler(output)
    output.close()

    assert {path.name for path in tmp_path.iterdir()} <= {"a.log", "a.log.1", "a.log.2", "a.log.lock"}
    assert "0049" in "".join(path.read_text() for path in tmp_path.iterdir())
