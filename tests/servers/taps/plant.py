"""A tap that is a real program, and a carrier that runs it as a worker does, without the rest of one."""

import json
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from worker.connectors.contract import Response
from worker.connectors.protocols.singer_calls import Asked, Choice, Told, told_by
from worker.http.carrier import Errand
from worker.http.wire.deadline import Deadline
from worker.secrets import Secret
from worker.taps.carrier import TapCarrier
from worker.taps.house import House
from worker.taps.process import Bounds

SCRIPTED = Path(__file__).with_name("scripted_tap.py")
NO_NETWORK: Mapping[str, str] = {}


class Moments:
    def connecting(self) -> None: ...
    def before_sending(self) -> None: ...
    def answered(self) -> None: ...
    def comes(self, size: int) -> None: ...


class Plant:
    """A tap, its rows, and a run that reads them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.file = folder / "rows.json"
        self.pids = folder / "pids"
        self.pids.touch()
        self.carrier = self.another()
        self.has(5)

    def another(self, **changed: Any) -> TapCarrier:
        """A carrier of another process."""
        about = {"allowed": (str(SCRIPTED),), "silence": 30.0, "most_line": 2_000_000, **changed}
        return TapCarrier(House(self.home, bounds=Bounds(memory=2048), **about), beat=10.0)

    def has(self, count: int) -> None:
        rows = [
            {"id": n, "name": f"row {n}", "changed_at": f"2026-01-01T00:00:{n:02}Z"} for n in range(count)
        ]
        self.file.write_text(json.dumps(rows))

    def asked(self, *, stream: str = "plant-orders", method: Any = "incremental", **config: Any) -> Asked:
        about = {"file": str(self.file), "pid_file": str(self.pids), **config}
        return Asked(str(SCRIPTED), about, choice=Choice(stream, method))

    def ask(
        self, asked: Asked, *, run: str = "1", carrier: TapCarrier | None = None, **secrets: str
    ) -> Response:
        return (carrier or self.carrier).exchange(self.errand(asked, run=run, secrets=secrets))

    def errand(
        self,
        asked: Asked,
        *,
        run: str = "1",
        secrets: Mapping[str, str],
        network: Mapping[str, str] = NO_NETWORK,
        moments: "Moments | None" = None,
    ) -> Errand:
        return Errand(
            connection_id=1,
            source=None,  # type: ignore[arg-type]
            request=asked.request(),
            secrets={name: Secret(value) for name, value in secrets.items()},
            deadline=Deadline.of(60, 30),
            most=10_000_000,
            moments=moments or Moments(),
            log_in=nullcontext,
            network=network,
            run=run,
        )

    def read(self, asked: Asked, **secrets: str) -> tuple[list[dict[str, Any]], Told]:
        """All of it, and the last word."""
        rows: list[dict[str, Any]] = []
        while True:
            response = self.ask(asked, **secrets)
            told = told_by(response)
            rows += json.loads(response.body)
            if told.done:
                return rows, told
            asked = after(asked, told)

    def started(self) -> list[int]:
        """The processes of taps so far."""
        return [int(line) for line in self.pids.read_text().split()]


def after(asked: Asked, told: Told) -> Asked:
    """What asks for the batch that follows."""
    return Asked(
        asked.tap,
        asked.config,
        asked.executable,
        asked.catalog,
        asked.choice,
        told.state,
        told.session,
        told.number,
    )
