"""What a Kubernetes cluster does where a pod logs in elsewhere: it gives out tokens of service accounts, and reviews them."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

from servers.network.certificates import Authority

REVIEWER = "planted-reviewer"
_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"


@dataclass
class Cluster:
    """The API server, as far as it says whose a token is. `url` and `authority`: what a reviewer has to know."""

    authority: str
    url: str = ""
    tokens: dict[str, str] = field(default_factory=dict)
    """Those that are good, and whose they are."""
    reviewed: int = 0

    def token(self, account: str, namespace: str = "plant") -> str:
        """A new one for a pod of this service account, as it is projected into a file."""
        about = {"namespace": namespace, "serviceaccount": {"name": account, "uid": f"uid-of-{account}"}}
        claims = {
            "iss": "https://kubernetes.default.svc",
            "sub": f"system:serviceaccount:{namespace}:{account}",
            "iat": 1700000000,
            "nbf": 1700000000,
            "exp": 4102444800,
            "jti": str(uuid4()),
            "kubernetes.io": about,
        }
        parts = [{"alg": "RS256", "typ": "JWT"}, claims, "planted-signature"]
        made = ".".join(
            base64.urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in parts
        )
        self.tokens[made] = f"{namespace}:{account}"
        return made

    def review(self, token: str) -> dict[str, Any]:
        """What is known of a token: nothing, if it isn't good any more."""
        self.reviewed += 1
        if (whose := self.tokens.get(token)) is None:
            return {"authenticated": False, "error": "the token has expired"}
        user = {
            "username": f"system:serviceaccount:{whose}",
            "uid": f"uid-of-{whose.partition(':')[2]}",
            "groups": ["system:serviceaccounts", "system:authenticated"],
        }
        return {"authenticated": True, "user": user}


@contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    """A cluster on a free port, over TLS."""
    authority = Authority("the cluster's")
    cluster = Cluster(authority.certificate)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            known = self.path == _REVIEWS and self.headers.get("Authorization") == f"Bearer {REVIEWER}"
            answer = {**asked, "status": cluster.review(asked["spec"]["token"])} if known else {"code": 401}
            body = json.dumps(answer).encode()
            self.send_response(201 if known else 401)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing: pytest shows what the test says."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    context = authority.issue("apiserver", ["127.0.0.1"]).server_context(folder)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    cluster.url = f"https://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield cluster
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
