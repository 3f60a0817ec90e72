"""A real OpenBao in its development mode: unsealed, in memory, gone with its process."""

import ssl
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from servers.running import running

from scheduler.embedded.ports import free_port

ROOT = "planted-root-t0ken"


@dataclass(frozen=True)
class Bao:
    """The server, and its administrator's way to it."""

    url: str
    pid: int
    authority: Path | None = None
    """Where the certificate is that vouches for a server that speaks TLS."""

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None, *, token: str = ROOT) -> Any:
        answer = httpx.request(
            method,
            f"{self.url}/v1/{path}",
            json=body,
            headers={"X-Vault-Token": token},
            timeout=10,
            verify=_trust(self.authority),
        )
        answer.raise_for_status()
        return answer.json() if answer.content else {}

    def put(self, path: str, **fields: str) -> int:
        """A new version of a secret in the engine of version 2; its number."""
        return int(self.ask("POST", f"secret/data/{path}", {"data": fields})["data"]["version"])

    def fields(self, path: str) -> dict[str, str]:
        found: dict[str, str] = self.ask("GET", f"secret/data/{path}")["data"]["data"]
        return found

    def policy(self, name: str, *rules: str) -> None:
        """`rules` are like `secret/data/app/* read,update`."""
        lines = []
        for rule in rules:
            path, rights = rule.split()
            quoted = ", ".join(f'"{right}"' for right in rights.split(","))
            lines.append(f'path "{path}" {{ capabilities = [{quoted}] }}')
        self.ask("PUT", f"sys/policies/acl/{name}", {"policy": "\n".join(lines)})

    def token(self, policy: str, ttl: str = "1h") -> str:
        given = {"policies": [policy], "ttl": ttl, "renewable": False}
        return str(self.ask("POST", "auth/token/create", given)["auth"]["client_token"])


def _trust(authority: Path | None) -> ssl.SSLContext | bool:
    return True if authority is None else ssl.create_default_context(cafile=authority)


@contextmanager
def running_bao(folder: Path, port: int = 0, *, tls: bool = False) -> Iterator[Bao]:
    """An OpenBao on that port, or a free one."""
    port = port or free_port()
    url = f"http{'s' if tls else ''}://127.0.0.1:{port}"
    authority = folder / "vault-ca.pem" if tls else None
    program = [
        Path(sys.executable).with_name("bao"),
        "server",
        "-dev",
        "-dev-no-store-token",
        f"-dev-root-token-id={ROOT}",
        f"-dev-listen-address=127.0.0.1:{port}",
        *(["-dev-tls", f"-dev-tls-cert-dir={folder}"] if tls else []),
    ]

    def answers() -> bool:
        try:
            return httpx.get(f"{url}/v1/sys/health", verify=_trust(authority)).status_code == 200
        except (httpx.HTTPError, OSError):
            return False

    with running(program, folder=folder, answers=answers, env={"HOME": str(folder)}) as child:
        yield Bao(url, child.pid, authority)
