"""Singer: the tap beside this file, piped into target-postgres; its state is kept between syncs. Runs in our Python.

    python singer_sync.py default|copy TAP_PYTHON TARGET_PYTHON SOURCE HOME

default   target-postgres with every default, merging by key
copy      its fastest settings: COPY, and records are not validated

Both are started anew for each sync, because that is how Singer is run.
"""

import json
import subprocess
import sys
import time
from pathlib import Path


def sync(mode: str, tap_python: str, target_python: str, home: Path) -> None:
    """One sync; the state of the last is where it begins."""
    state = home / "state.json"
    known = ["--state", str(state)] if state.exists() else []
    tap_program = Path(__file__).with_name("singer_tap.py")
    target_program = Path(target_python).with_name("target-postgres")
    with (home / "tap.log").open("wb") as tap_log, (home / f"target-{mode}.log").open("wb") as target_log:
        tap = subprocess.Popen(
            [tap_python, str(tap_program), "--config", str(home / "tap.json"), *known],
            stdout=subprocess.PIPE,
            stderr=tap_log,
        )
        target = subprocess.run(
            [str(target_program), "--config", str(home / "target.json")],
            stdin=tap.stdout,
            stdout=subprocess.PIPE,
            stderr=target_log,
            text=True,
            check=True,
        )
        if tap.wait():
            raise RuntimeError(
                f"The tap ended with {tap.returncode}: {(home / 'tap.log').read_text()[-2000:]}"
            )
    state.write_text(target.stdout.strip().splitlines()[-1])


def main() -> None:
    mode, tap_python, target_python, source, home = sys.argv[1:6]
    folder = Path(home)
    database = sys.stdin.readline().strip().replace("postgresql://", "postgresql+psycopg://", 1)
    options = {"use_copy": True, "validate_records": False} if mode == "copy" else {}
    (folder / "tap.json").write_text(json.dumps({"source": source}))
    (folder / "target.json").write_text(
        json.dumps(
            {
                "sqlalchemy_url": database,
                "load_method": "upsert",
                "default_target_schema": "peer",
                **options,
            }
        )
    )
    _answer({})
    for _ in sys.stdin:
        begun = time.perf_counter()
        sync(mode, tap_python, target_python, folder)
        _answer({"seconds": time.perf_counter() - begun})


def _answer(found: dict[str, float]) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
