"""A system that repeats what it is told, in all the ways in which real systems and proxies do it."""

import json
from pathlib import Path
from urllib.parse import quote

from servers.systems.scripted import Asked, Said

STREAMS = (
    "well",
    "error",
    "refused",
    "redirected",
    "proxied",
    "no_page",
    "in_a_url",
    "cut_off",
    "cut_off_html",
)
WAITS = ("in_a_header", "later")
"""Answers that silence a whole account, so they have one of their own."""


def add_leaky_systems(folder: Path) -> None:
    """Into a folder of connectors: one that is logged in to by a token, one by a password."""
    logins: dict[str, dict[str, object]] = {
        "leaky": {"bearer": {"secret": "token"}},
        "leakybasic": {"basic": {"username": {"setting": "user"}, "password": {"secret": "token"}}},
    }
    for system, auth in logins.items():
        user = {"user": {"required": True, "description": "Who."}} if "basic" in auth else {}
        manifest = {
            "manifest": 1,
            "system": system,
            "title": "A system that repeats what it is told",
            "protocol": "rest",
            "base_url": "{base_url}",
            "settings": {"base_url": {"required": True, "description": "Where the test listens."}, **user},
            "secrets": {"token": {"description": "A secret."}},
            "auth": dict(auth),
            "errors": {"words": ["error"]},
            "defaults": {"records": "data", "key": "id"},
            "streams": {name: {"path": f"/{name}"} for name in (*STREAMS, *WAITS)},
        }
        (folder / system).mkdir()
        (folder / system / "manifest.yaml").write_text(json.dumps(manifest))


def repeat(asked: Asked) -> Said:
    """Whatever proof came is in the answer, in all the ways in which real systems and proxies do it."""
    proof = asked.headers.get("authorization", "")
    token = proof.partition(" ")[2]
    where = asked.path.partition("?")[0]
    html = f"<html>You sent <b>{proof}</b> to {where}</html>".encode()
    said = json.dumps({"error": f"I don't like {proof} at all, {token}, {quote(token, safe='')}"}).encode()
    link = f"/elsewhere?token={quote(token, safe='')}&again={token}"
    return {
        "/error": Said(said, 500),
        "/refused": Said(said, 403),
        "/redirected": Said(b"", 302, {"Location": link}),
        "/proxied": Said(html, 502, {"Content-Type": "text/html"}),
        "/no_page": Said(said, 200),
        "/cut_off": Said(json.dumps({"error": "x" * 275 + f" {proof} {token} " + "x" * 90}).encode(), 500),
        "/cut_off_html": Said(b"<html>" + b"x" * 55 + f" {proof} {token}".encode(), 200),
        "/in_a_url": Said(said, 404, {"Link": f'<{link}>; rel="next"'}),
        "/in_a_header": Said(said, 429, {"Retry-After": f"{token}"}),
        "/later": Said(said, 503, {"Retry-After": "1"}),
    }.get(where, Said(b'{"data": [{"id": 1}, {"id": 2}]}'))
