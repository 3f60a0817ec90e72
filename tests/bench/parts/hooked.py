"""How is an API put up that takes signed webhooks (Standard Webhooks), and how is one of them made?"""

import base64
import hmac
import json
import socket
import time
from uuid import uuid4

import httpx
import yaml

from tests.bench.parts.world import World

RECORDS = 1000
SECRET = base64.b64encode(b"k" * 32).decode()
_WEBHOOKS = {
    "verify": {"standard": {"secret": "webhook_secret"}},
    "id": {"header": "webhook-id"},
    "type": "type",
    "at": "timestamp",
    "events": [{"type": "work_order.*", "stream": "work_orders", "key": "data.id"}],
}


def signed(number: int) -> tuple[str, dict[str, str], bytes]:
    """An event's id, its headers and its body; it names one of the records."""
    name, moment = f"msg_{uuid4().hex}", str(int(time.time()))
    told = {
        "type": "work_order.updated",
        "timestamp": "2026-01-01T00:00:00Z",
        "data": {"id": number % RECORDS},
    }
    body = json.dumps(told).encode()
    digest = hmac.digest(base64.b64decode(SECRET), f"{name}.{moment}.".encode() + body, "sha256")
    headers = {
        "content-type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": moment,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
    return name, headers, body


def serve_hooked(own: World, url: str, *, connections: int = 1) -> tuple[int, list[str]]:
    """`headrace serve` as users start it: its port, and the connections to that system whose webhooks it takes."""
    manifest = yaml.safe_load((own.connectors / "bench" / "manifest.yaml").read_text())
    secrets = {"webhook_secret": {"required": False, "description": "What signs its webhooks."}}
    own.add_system(
        "hooked", secrets=secrets, webhooks=_WEBHOOKS, defaults=manifest["defaults"] | {"single": {}}
    )
    own.add_connections(url, system="hooked", count=connections, streams=["work_orders"], first_due=None)
    (secret := own.secrets / "webhook").write_text(f"whsec_{SECRET}")
    own.database.run(
        "UPDATE connections SET secrets = jsonb_build_object('webhook_secret', %(secret)s::text)",
        {"secret": f"file://{secret}"},
    )
    own.start("api", "serve", port=(port := _free_port()))
    own.wait(lambda: _answers(port), 30, what="API")
    rows = own.database.all("SELECT name FROM connections WHERE system = 'hooked' ORDER BY id")
    return port, [row["name"] for row in rows]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
