#!/usr/bin/env python3
"""A Singer tap over a file of rows, with the ill manners that its config names. It speaks the protocol and knows nothing else.

config: {file, every (rows between two STATEs), does, after (rows until then), pid_file, key, token}
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

SCHEMA = {
    "type": "object",
    "properties": {
        "id": {"type": ["null", "integer"]},
        "name": {"type": ["null", "string"]},
        "changed_at": {"type": ["null", "string"], "format": "date-time"},
        "price": {"anyOf": [{"type": "string", "format": "singer.decimal"}, {"type": "null"}]},
    },
}


def say(**message: object) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def note(words: str) -> None:
    sys.stderr.write(words + "\n")


def catalog() -> dict[str, object]:
    def entry(stream: str, **root: object) -> dict[str, object]:
        return {
            "tap_stream_id": stream,
            "stream": stream,
            "schema": SCHEMA,
            "metadata": [
                {
                    "breadcrumb": [],
                    "metadata": {"table-key-properties": ["id"], "inclusion": "available", **root},
                },
                {"breadcrumb": ["properties", "id"], "metadata": {"inclusion": "automatic"}},
                {"breadcrumb": ["properties", "name"], "metadata": {"inclusion": "available"}},
            ],
        }

    incremental = {"valid-replication-keys": ["changed_at"], "replication-method": "INCREMENTAL"}
    return {"streams": [entry("plant-orders", **incremental), entry("sites")]}


def chosen(found: dict[str, object]) -> tuple[str, str]:
    for entry in found["streams"]:  # type: ignore[attr-defined]
        root = next(each["metadata"] for each in entry["metadata"] if not each["breadcrumb"])
        if root.get("selected"):
            return entry["tap_stream_id"], root.get("replication-method", "FULL_TABLE")
    raise SystemExit("nothing is selected")


def main() -> None:
    arguments = argparse.ArgumentParser()
    for name in ("--config", "--catalog", "--properties", "--state"):
        arguments.add_argument(name)
    arguments.add_argument("--discover", action="store_true")
    given = arguments.parse_args()
    config = json.loads(Path(given.config).read_text())
    if "pid_file" in config:
        with Path(config["pid_file"]).open("a") as file:
            file.write(f"{os.getpid()}\n")
    if given.discover:
        say(**catalog())
        return
    stream, method = "plant-orders", "INCREMENTAL"
    if path := given.catalog or given.properties:
        stream, method = chosen(json.loads(Path(path).read_text()))
    state = json.loads(Path(given.state).read_text()) if given.state else {}
    ill = Ill(config, given)
    ill.begin(stream)
    read(config, stream, method, state, ill)


def read(config: dict[str, object], stream: str, method: str, state: dict[str, object], ill: "Ill") -> None:
    rows = json.loads(Path(str(config["file"])).read_text())
    since = state.get("bookmarks", {}).get(stream, "") if method == "INCREMENTAL" else ""  # type: ignore[attr-defined]
    version = int(time.time() * 1000) if method == "FULL_TABLE" and config.get("versions") else None
    said = {} if version is None else {"version": version}
    say(type="SCHEMA", stream=stream, schema=SCHEMA, key_properties=["id"])
    every = int(str(config.get("every", 2)))
    changed = sorted((row for row in rows if row["changed_at"] >= since), key=lambda row: row["changed_at"])
    for count, row in enumerate(changed, 1):
        ill.before(count - 1, stream)
        say(type="RECORD", stream=stream, record=row, time_extracted="2026-01-01T00:00:00Z", **said)
        if method == "INCREMENTAL" and count % every == 0:
            say(type="STATE", value={"bookmarks": {stream: row["changed_at"]}})
    if version is not None and not config.get("never_activates"):
        say(type="ACTIVATE_VERSION", stream=stream, version=version)
    if method == "INCREMENTAL" and rows:
        say(type="STATE", value={"bookmarks": {stream: max(row["changed_at"] for row in rows)}})


class Ill:
    """What goes wrong, and where."""

    def __init__(self, config: dict[str, object], given: argparse.Namespace) -> None:
        self.config, self.given = config, given
        self.does = config.get("does")

    def begin(self, stream: str) -> None:
        note("INFO Starting sync")
        match self.does:
            case "flood":
                for number in range(20_000):
                    note(f"WARNING {number} password={self.config['token']} of it")
            case "shows":
                about = {"env": sorted(os.environ), "home": os.environ["HOME"], "config": self.given.config}
                about["mode"] = oct(Path(self.given.config).stat().st_mode & 0o777)
                say(
                    type="RECORD",
                    stream=stream,
                    record={"id": 0, "name": json.dumps(about), "changed_at": ""},
                )
            case "child":
                child = subprocess.Popen(["sleep", "600"])
                with Path(str(self.config["pid_file"])).open("a") as file:
                    file.write(f"{child.pid}\n")

    def before(self, count: int, stream: str) -> None:  # noqa: C901
        if count != int(str(self.config.get("after", 0))):
            return
        match self.does:
            case "crash":
                note("ERROR the plant burnt down")
                sys.exit(3)
            case "refused":
                note("CRITICAL 401 Client Error: Unauthorized for url")
                sys.exit(1)
            case "dies":
                os.kill(os.getpid(), signal.SIGKILL)
            case "hang" | "child":
                time.sleep(600)  # noqa: TID251
            case "junk":
                sys.stdout.write("hello, I am no message\n{broken\n[1, 2]\n\n{}\n")
            case "huge":
                say(
                    type="RECORD", stream=stream, record={"id": 99, "name": "x" * 3_000_000, "changed_at": ""}
                )
            case "nan":
                say(type="RECORD", stream=stream, record={"id": 98, "price": float("nan"), "changed_at": "1"})
            case "batch":
                say(type="BATCH", stream=stream, encoding={"format": "jsonl"}, manifest=["file:///tmp/1"])
            case "others":
                say(type="RECORD", stream="another", record={"id": 97})
            case "memory":
                note(str(len(b"x" * 8_000_000_000)))


if __name__ == "__main__":
    main()
