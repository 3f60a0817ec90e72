#!/usr/bin/env python3
"""A Singer tap over the file that its config names: rows of a plant as they are now, in the order in which they changed.

A STATE comes after every second row, and says which row that was, so a reading that was ended goes on behind it; the last
one says only how far it went, so whatever changed at that very moment is read again.
"""

from __future__ import annotations

import json
import os
import signal
import sys

TYPE_CHECKING = False  # a program that is started hundreds of times imports little
if TYPE_CHECKING:
    from typing import Any, NoReturn


def say(**message: object) -> None:
    sys.stdout.write(json.dumps(message) + "\n")


def fails(words: str) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.write(words + "\n")
    sys.exit(1)


def read_json(path: str) -> Any:
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 - pathlib takes long to import
        return json.load(file)


def given(name: str) -> Any:
    if name not in sys.argv:
        return {}
    return read_json(sys.argv[sys.argv.index(name) + 1])


def catalog(plant: Any) -> dict[str, object]:
    return {
        "streams": [
            {
                "tap_stream_id": name,
                "stream": name,
                "schema": {"type": "object", "properties": {"id": {"type": ["null", "integer"]}}},
                "metadata": [
                    {
                        "breadcrumb": [],
                        "metadata": {"table-key-properties": ["id"], "inclusion": "available"},
                    },
                    {"breadcrumb": ["properties", "id"], "metadata": {"inclusion": "automatic"}},
                ],
            }
            for name in plant["streams"]
        ]
    }


def chosen(found: Any) -> tuple[str, str]:
    for entry in found["streams"]:
        root = next(each["metadata"] for each in entry["metadata"] if not each["breadcrumb"])
        if root.get("selected"):
            return entry["tap_stream_id"], root.get("replication-method", "FULL_TABLE")
    raise SystemExit("nothing is selected")


def read(rows: list[Any], stream: str, state: Any) -> None:
    """What changed at the mark of the state or later, but for what was read of that already."""
    since, behind = state.get("since"), state.get("behind")
    for count, row in enumerate(rows, 1):
        place = [row["mark"], row["record"].get("id") or 0]
        if (since is not None and row["mark"] < since) or (behind is not None and place <= behind):
            continue
        say(type="RECORD", stream=stream, record=row["record"])
        if count % 2 == 0:
            say(type="STATE", value={"since": row["mark"], "behind": place})
    last = rows[-1]["mark"] if rows else since
    say(type="STATE", value={"since": last})


def read_all(rows: list[Any], stream: str) -> None:
    version = len(rows)
    for row in rows:
        say(type="RECORD", stream=stream, record=row["record"], version=version)
    say(type="ACTIVATE_VERSION", stream=stream, version=version)


def main() -> None:
    config = given("--config")
    plant = read_json(config["plant"])
    if "--discover" in sys.argv:
        say(**catalog(plant))
        return
    if config["token"] != plant["token"]:
        fails("CRITICAL 401 Client Error: Unauthorized for url")
    stream, method = chosen(given("--catalog"))
    says = {
        "failing": "ERROR the plant burnt down",
        "throttled": "ERROR 429 Too Many Requests",
        "forbidden": "CRITICAL 403 Client Error: Forbidden for url",
        "echo": f"ERROR this is all I know: {config}",
    }
    if plant["trouble"] in says:
        fails(says[plant["trouble"]])
    say(type="SCHEMA", stream=stream, schema={"type": "object"}, key_properties=["id"])
    if plant["trouble"] == "cut":
        os.kill(os.getpid(), signal.SIGKILL)
    rows = plant["streams"][stream]
    if method == "FULL_TABLE":
        read_all(rows, stream)
    else:
        read(rows, stream, given("--state"))


if __name__ == "__main__":
    main()
