"""How fast is it? Runs the cases of the benchmark, each beside a baseline in the same run, and prints a line a figure.

    python -m tests.bench.run [--full] [--only first_load,idle] [--write TABLE.md]

Each module in `cases/` has `run(full: bool) -> Iterator[Line]`, and `FULL_ONLY = True` where a short form would say
nothing. Each runs in a process of its own, so that none spoils another's memory; one that fails or hangs says why and
the others go on. Ends with 1 if a case failed, and in a full run also if a target was missed.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from signal import SIGINT, SIGTERM, default_int_handler, signal

from tests.bench.parts.line import Line
from tests.bench.parts.machine import words_of_machine
from tests.bench.table import write_table

ROOT = Path(__file__).resolve().parents[2]
CASES = Path(__file__).with_name("cases")
SHORT_LIMIT, FULL_LIMIT = 180.0, 3600.0
UNWINDING = 60.0
ONLY_WHEN_NAMED = {"smoke"}
"""It measures nothing: it tries the benchmark itself."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a case came to; `problem` says why there are no more lines."""

    case: str
    lines: tuple[Line, ...]
    seconds: float
    problem: str = ""


def case_names() -> list[str]:
    """All cases there are."""
    return sorted(path.stem for path in CASES.glob("[a-z]*.py"))


def main(arguments: Sequence[str] | None = None) -> int:
    options = argparse.ArgumentParser(prog="make bench", description=__doc__.partition("\n")[0])
    options.add_argument("--full", action="store_true", help="all sizes and repetitions, and the peers")
    options.add_argument("--only", default="", help="these cases, separated by commas")
    options.add_argument("--write", type=Path, help="write the table as Markdown to this file")
    options.add_argument("--case", help=argparse.SUPPRESS)
    chosen = options.parse_args(arguments)
    for number in (
        SIGINT,
        SIGTERM,
    ):  # also where a shell that started us in the background had SIGINT ignored
        signal(number, default_int_handler)
    if chosen.case:
        return _run_here(chosen.case, full=chosen.full)
    names = chosen.only.split(",") if chosen.only else sorted(set(case_names()) - ONLY_WHEN_NAMED)
    if unknown := set(names) - set(case_names()):
        options.error(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(case_names())}")
    begun = time.time()
    sys.stdout.write(
        f"{words_of_machine()}\nfigure | ours | baseline | ours / baseline | target | met | note\n"
    )
    outcomes = [_run_case(name, full=chosen.full) for name in names]
    if chosen.write:
        write_table(chosen.write, outcomes, full=chosen.full)
    return _verdict(outcomes, time.time() - begun, full=chosen.full)


def _verdict(outcomes: Sequence[Outcome], seconds: float, *, full: bool) -> int:
    lines = [line for outcome in outcomes for line in outcome.lines]
    missed = [line.figure for line in lines if line.met is False]
    failed = [outcome.case for outcome in outcomes if outcome.problem]
    sys.stdout.write(f"{len(lines)} figures in {seconds:.0f} s; {len(missed)} missed, {len(failed)} failed\n")
    return 1 if failed or (full and missed) else 0


def _run_case(name: str, *, full: bool) -> Outcome:
    """Run a case in a process of its own, and print its lines as they come."""
    begun = time.time()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.run", "--case", name, *(["--full"] if full else [])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    words = _Words(process)
    timer = threading.Timer(FULL_LIMIT if full else SHORT_LIMIT, process.send_signal, [SIGINT])
    timer.start()
    try:
        lines = tuple(_printed(process))
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(UNWINDING)
    finally:
        hung = not timer.is_alive()
        timer.cancel()
        code = _end(process)
    problem = "" if code == 0 else f"{'took too long: ' if hung else ''}{words.last()}"
    if problem:
        sys.stdout.write(f"{name} | FAILED: {problem}\n")
        sys.stdout.flush()
    return Outcome(name, lines, time.time() - begun, problem)


def _end(process: "subprocess.Popen[str]") -> int:
    """Let a case that is interrupted take down the servers that it started; its exit code."""
    if process.poll() is None:
        process.send_signal(SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(UNWINDING)
        process.kill()
    return process.wait()


def _printed(process: "subprocess.Popen[str]") -> Iterator[Line]:
    assert process.stdout is not None
    for text in process.stdout:
        found = json.loads(text)
        line = Line(
            **(found | {key: tuple(found[key]) for key in ("ours_all", "baseline_all")}),
        )
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
        yield line


class _Words:
    """What a case says beside its figures: passed on, and kept for the report of a failure."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._lines: list[str] = []
        self._thread = threading.Thread(target=self._read, args=(process.stderr,), daemon=True)
        self._thread.start()

    def _read(self, stream: Iterator[str]) -> None:
        for line in stream:
            self._lines.append(line.rstrip())
            sys.stderr.write(line)

    def last(self) -> str:
        self._thread.join(5)
        said = [line for line in self._lines if line.strip()]
        return said[-1] if said else "it ended without a word"


def _run_here(name: str, *, full: bool) -> int:
    """Run a case in this process; its lines go to stdout as JSON, whatever else is printed to stderr."""
    out = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        case = import_module(f"tests.bench.cases.{name}")
        if getattr(case, "FULL_ONLY", False) and not full:
            return 0
        for line in case.run(full):
            out.write(json.dumps(asdict(line)) + "\n")
            out.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
