"""Every list of the API, asked in the ways in which it costs most."""

from collections.abc import Iterator, Mapping

STREAM = "/v1/connections/{connection}/streams/{stream}"

ASKED: Mapping[str, tuple[str, ...]] = {
    "/v1/connections": ("", "tenant=tenant-7", "tenant=nobody", "label=region:north", "system=other"),
    "/v1/connections/{connection}": ("",),
    "/v1/connections/{connection}/streams": ("",),
    "/v1/connections/{connection}/history": ("",),
    "/v1/connections/{connection}/verifications": ("",),
    "/v1/connections/{connection}/webhooks": ("",),
    "/v1/runs": (
        "", "state=failed", "state=queued", "state=suspicious_empty", "connection={connection}",
        "connection={connection}&stream={stream}", "tenant=tenant-7", "tenant=nobody", "label=region:north",
    ),
    f"{STREAM}/records": ("", "deleted=true"),
    "/v1/changes": ("", "connection={connection}", "after=now"),
    f"{STREAM}/deletes": ("",),
    f"{STREAM}/quarantine": ("",),
    f"{STREAM}/fields": ("",),
    "/v1/deletes": ("", "tenant=tenant-7", "tenant=nobody", "connection={connection}"),
    "/v1/quarantine": ("", "tenant=tenant-7", "tenant=nobody", "connection={connection}", "label=region:north"),
    "/v1/drift": ("", "tenant=tenant-7", "tenant=nobody", "connection={connection}", "label=region:north"),
    "/v1/events": (
        "", "state=failed", "state=pending", "connection={connection}", "connection={connection}&state=failed",
        "connection={connection}&stream={stream}&key=K-1", "tenant=tenant-7", "tenant=nobody", "label=region:north",
    ),
    "/v1/webhook-refusals": ("", "connection={connection}", "tenant=tenant-7", "tenant=nobody"),
    "/v1/webhooks": ("", "tenant=tenant-7", "tenant=nobody"),
    "/v1/subscriptions": ("", "tenant=nobody", "connection={connection}"),
    "/v1/consumers": ("",),
    "/v1/tokens": ("", "ended=true", "owner=owner-7", "tenant=tenant-7", "tenant=nobody"),
    "/v1/connect-links": ("", "tenant=tenant-7", "tenant=nobody"),
    "/v1/audit": (
        "", "connection={connection}", "tenant=tenant-7", "tenant=nobody", "actor=owner-7", "actor=nobody", "action=token.",
        "action=nothing", "token=00000000-0000-7000-8000-000000000007", "since=2020-01-01T00:00:00Z&action=token.",
        "label=region:north", "label=region:north&action=token.", "label=region:nowhere",
    ),
}  # fmt: skip
"""By path, the queries. A tenant has some sixty connections; `nobody` has none."""

LIMITED = (
    "/v1/connections",
    "/v1/runs",
    "/v1/events",
    "/v1/audit",
    "/v1/audit?label=region:north",
    "/v1/drift",
    "/v1/quarantine",
    "/v1/tokens",
)
"""Asked, too, by a token that sees one customer alone."""


def asked(connection: str = "conn-000025", stream: str = "orders") -> Iterator[str]:
    """Path and query of each."""
    names = {"connection": connection, "stream": stream}
    for path, queries in ASKED.items():
        for query in queries:
            yield f"{path}{'?' if query else ''}{query}".format(**names)
