"""Where does a link to the next page lead, and may it be followed?

A link to another host is refused (`next_link_elsewhere`), since it would carry the connection's credentials there.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

from worker.errors import NeedsOperator


def link_of(headers: Mapping[str, str]) -> str | None:
    """The `rel="next"` link of a Link header (RFC 8288)."""
    for match in re.finditer(
        r"<([^>]*)>((?:\s*;\s*[^;,=]+(?:=(?:\"[^\"]*\"|[^;,]*))?)*)", headers.get("link", "")
    ):
        if re.search(r";\s*rel\s*=\s*(?:\"(?:[^\"]*\s)?next(?:\s[^\"]*)?\"|next\b)", match[2], re.IGNORECASE):
            return match[1]
    return None


def are_links(found: Any) -> bool:
    """Whether it is a list of links, each of which says what it leads to: `[{"rel": "next", "href": …}]`."""
    return (
        isinstance(found, list)
        and bool(found)
        and all(isinstance(link, Mapping) and ("rel" in link or "relation" in link) for link in found)
    )


def link_among(links: list[Mapping[str, Any]]) -> Any:
    """The next one of a list of links; None: it names none."""
    following = (link for link in links if _leads_on(link.get("rel", link.get("relation"))))
    return next((link.get("href", link.get("url")) for link in following), None)


def _leads_on(relations: Any) -> bool:
    """Whether one of them, however it is written (RFC 8288, 2.1), is the next."""
    said = relations if isinstance(relations, list) else str(relations).split()
    return any(str(one).lower() == "next" for one in said)


def same_origin(base_url: str, link: str, *, seen_at: str = "") -> str:
    """The URL that a link means, if it leads to the connection's own host. `http` written by a server behind TLS becomes `https`."""
    base = urlsplit(base_url)
    try:
        parts = urlsplit(urljoin(seen_at, link))
        if base.scheme == "https" and parts.scheme == "http" and parts.port in {None, 80}:
            parts = parts._replace(scheme="https", netloc=parts.hostname or "")
        same = _origin(parts) == _origin(base) and "@" not in parts.netloc
    except ValueError:
        parts, same = base, False
    if not same:
        shown = ascii(link.split("?", maxsplit=1)[0])[:120]
        raise NeedsOperator(
            "next_link_elsewhere",
            f"The link to the next page leads to another host: {shown}, not {base.scheme}://{base.netloc}.",
            hint="If the system lives there now, change base_url of the connection.",
        )
    return urlunsplit(parts._replace(fragment=""))


def _origin(parts: Any) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
