"""The demo system as a process of its own, and the hand that controls it: its truth, its faults, its life.

Its tokens are handed over in files, so that no test's secret stands in a list of processes. With a journal (`--state`)
it survives being killed, and comes back on the same port.
"""

import json
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from servers.waiting import wait_until

from scheduler.embedded.supervisor.processes import Child, spawn

ENTITIES = ("sites", "vendors", "parts", "assets", "stock_levels", "work_orders", "purchase_orders")
TOKEN = "api-token-of-the-demo"
CONTROL_TOKEN = "control-token-of-the-demo"
ROOT = Path(__file__).parents[3]


class Demo:
    """A demo system that can be started, killed and started again in `folder`."""

    def __init__(
        self, folder: Path, *arguments: str, token: str = TOKEN, control_token: str = CONTROL_TOKEN
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.log = folder / "demo.log"
        self.token_file = _secret_file(folder / "token", token)
        self._arguments = arguments
        self._control_file = _secret_file(folder / "control-token", control_token)
        self._child: Child | None = None
        self._port = 0
        self.base_url = ""
        self.client = httpx.Client(
            headers={"Authorization": f"Bearer {token}", "X-Control-Token": control_token},
            timeout=20,
            trust_env=False,
        )

    @property
    def child(self) -> Child:
        assert self._child is not None, "the demo system was not started"
        return self._child

    def start(self) -> "Demo":
        """Start it and wait until it answers; on the port that it had before, if it had one."""
        ready = self.folder / f"ready-{uuid4().hex[:8]}"
        with self.log.open("ab") as log:
            self._child = spawn(self._command(ready), log=log, env={"LC_ALL": "C"}, folder=ROOT)
        wait_until(
            lambda: ready.exists() or not self.child.alive, 20, what=f"the demo system's start ({self.log})"
        )
        assert self.child.alive, self.log.read_text(errors="replace")[-2000:]
        told = json.loads(ready.read_text())
        self._port, self.base_url = told["port"], told["base_url"]
        self.client.base_url = self.base_url
        return self

    def _command(self, ready: Path) -> list[str]:
        files = ["--token-file", self.token_file, "--control-token-file", self._control_file]
        where = ["--ready-file", ready, "--port", self._port]
        return [
            sys.executable,
            "-m",
            "scheduler.embedded.demo",
            *map(str, [*files, *where]),
            *self._arguments,
        ]

    def kill(self) -> None:
        self.child.kill()

    def end(self) -> int | None:
        """Stop it in order; its exit code."""
        self.child.stop(signal.SIGTERM, 10)
        return self.child.exit_code

    def control(self, method: str, path: str, body: Any = None) -> Any:
        response = self.client.request(method, f"/control/{path}", json=body)
        assert response.is_success, response.text
        return response.json()

    def truth(self, entity: str) -> tuple[dict[str, dict[str, Any]], set[str]]:
        """The live records by key, and the keys of the deleted ones."""
        told = self.control("GET", f"truth?entity={entity}")
        live = {str(record["id"]): record for record in told["records"]}
        return live, {str(key) for key in told["deleted_ids"]}

    def freeze(self) -> None:
        """Stop its life, and wait for what was stamped and isn't shown yet."""
        self.control("POST", "freeze")
        wait_until(lambda: self.control("GET", "life")["pending"] == 0, 30, what="the end of late commits")

    def thaw(self, rate: float) -> None:
        self.control("POST", f"thaw?rate={rate}")

    def fault(self, **faults: Any) -> None:
        self.control("POST", "faults", faults)

    def clear_faults(self) -> None:
        self.control("DELETE", "faults")

    def change(self, entity: str, key: int | str, **fields: Any) -> dict[str, Any]:
        changed: dict[str, Any] = self.control(
            "POST", "change", {"entity": entity, "id": key, "fields": fields}
        )
        return changed

    def create(self, entity: str, **fields: Any) -> dict[str, Any]:
        made: dict[str, Any] = self.control("POST", "create", {"entity": entity, "fields": fields})
        return made

    def delete(self, entity: str, key: int | str) -> None:
        """It stays in the lists of those who ask for deleted records, with a flag."""
        self.control("POST", "delete", {"entity": entity, "id": key})

    def purge(self, entity: str, key: int | str) -> None:
        """It vanishes; only the list of deletes tells of it."""
        self.control("POST", "purge", {"entity": entity, "id": key})

    def restore(self, entity: str, key: int | str, **fields: Any) -> dict[str, Any]:
        """It is back, however it had gone."""
        back: dict[str, Any] = self.control(
            "POST", "restore", {"entity": entity, "id": key, "fields": fields}
        )
        return back

    def under_way(self) -> int:
        """How many requests it is answering at the moment."""
        now: int = self.control("GET", "stats?arrivals=false")["concurrency"]["now"]
        return now

    def arrivals(self) -> list[tuple[float, bool]]:
        """When each request came (seconds since 1970), and whether the limit let it in."""
        return [(at, admitted) for at, _, admitted in self.control("GET", "stats")["arrivals"]]

    def statuses(self) -> Mapping[str, int]:
        told: Mapping[str, int] = self.control("GET", "stats?arrivals=false")["by_status"]
        return told

    def forget_stats(self) -> None:
        self.control("DELETE", "stats")

    def walk(self, entity: str, **params: Any) -> list[dict[str, Any]]:
        """All records of an entity, as a reader by cursor finds them."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.client.get(f"/api/v1/{entity}", params=params).json()
            found += page["data"]
            if page["next_cursor"] is None:
                return found
            params["cursor"] = page["next_cursor"]

    def close(self) -> None:
        self.client.close()
        if self._child is not None:
            self._child.kill()


@contextmanager
def running_demo(folder: Path, arguments: Sequence[str] = ()) -> Iterator[Demo]:
    """A demo system, killed in the end."""
    demo = Demo(folder, *arguments)
    try:
        yield demo.start()
    finally:
        demo.close()


def _secret_file(path: Path, value: str) -> Path:
    path.write_text(value)
    path.chmod(0o600)
    return path
