"""`python -m scheduler.embedded.demo`: the demo system by itself, without the rest of Headrace."""

import argparse
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from scheduler.embedded.demo.hooks.message import BadSecret
from scheduler.embedded.demo.options import DemoOptions
from scheduler.embedded.demo.plant.memory.journal import JournalError
from scheduler.embedded.demo.plant.schema import parse_iso
from scheduler.embedded.demo.server import PortInUse, serve

READ_FROM_FILES = {"token_file", "control_token_file", "token", "control_token", "webhook_secret_file"}


def main(arguments: Sequence[str] | None = None) -> int:
    """0 after an orderly end, 1 if it couldn't start, 2 for wrong arguments."""
    try:
        serve(read_options(_parser().parse_args(arguments)))
    except (PortInUse, JournalError, BadSecret, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201 -- a command speaks to people here
        return 1
    return 0


def read_options(given: argparse.Namespace) -> DemoOptions:
    values = {
        name: value
        for name, value in vars(given).items()
        if value is not None and name not in READ_FROM_FILES
    }
    if tokens := [*given.token, *map(read_token, given.token_file)]:
        values["tokens"] = tuple(tokens)
    else:
        values["tokens"] = (made := secrets.token_urlsafe(24),)
        print(f"Authorization: Bearer {made}", file=sys.stderr)  # noqa: T201 -- nobody else knows it
    control = read_token(given.control_token_file) if given.control_token_file else given.control_token
    signing = read_token(given.webhook_secret_file).split() if given.webhook_secret_file else []
    return DemoOptions(**values, control_token=control, webhook_secrets=tuple(signing))


def read_token(path: Path) -> str:
    """Files are the better way to hand a token over: arguments can be seen by everybody on the machine."""
    return path.read_text(encoding="utf-8").strip()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="headrace-demo", description=__doc__)
    parser.add_argument("--port", type=int, help="0 (default): any free one")
    parser.add_argument("--seed", type=int, help="the same seed gives the same plant")
    parser.add_argument("--factor", type=float, help="size; 1 is about 5,000 records")
    parser.add_argument("--epoch", type=_moment, help="the moment at which the first records stand")
    parser.add_argument("--rate", type=float, help="steps of life in a second; 0: frozen")
    parser.add_argument(
        "--hostile", action="store_true", help="life also purges, restores and plays with fields"
    )
    parser.add_argument("--requests", type=int, help="requests a token has in a window; 0: no limit")
    parser.add_argument("--per", type=float, help="seconds of the window")
    parser.add_argument("--token", action="append", default=[], help="API token, may be repeated")
    parser.add_argument("--token-file", action="append", default=[], type=Path, help="file with an API token")
    parser.add_argument("--control-token", help="opens /control")
    parser.add_argument("--control-token-file", type=Path, help="file with the control token")
    parser.add_argument("--webhook-url", help="is told of every change")
    parser.add_argument("--webhook-secret-file", type=Path, help="file with what signs webhooks: whsec_…")
    parser.add_argument("--state", type=Path, help="file that lets the system survive its process")
    parser.add_argument("--ready-file", type=Path, help="gets the ready line instead of stdout")
    parser.add_argument("--exit-with-parent", action="store_true", help="end when the parent is gone")
    return parser


def _moment(text: str) -> int:
    try:
        return parse_iso(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
