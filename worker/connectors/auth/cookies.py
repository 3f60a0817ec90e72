"""Which cookies does an answer set, and how are they sent back? As far as a log-in needs it (RFC 6265).

They are kept by name and value alone: they go to the one host that set them, for as long as the log-in counts.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace

from worker.connectors.contract import Request, Response

_NEXT_COOKIE = re.compile(r",\s*(?=[!#$%&'*+.^_`|~0-9A-Za-z-]+\s*=)")
"""Headers that came twice are joined by commas; a comma within one (in a date) isn't followed by `name=`."""


def cookies_in(response: Response, wanted: Collection[str] | None) -> dict[str, str]:
    """What was set, by name; of these only the wanted ones. None: all. One that is taken back isn't there."""
    found: dict[str, str] = {}
    for cookie in _NEXT_COOKIE.split(response.headers.get("set-cookie", "")):
        pair, _, attributes = cookie.partition(";")
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not name or (wanted is not None and name not in wanted):
            continue
        if re.search(r"(?i)max-age\s*=\s*(0|-\d+)\b", attributes) or not value:
            found.pop(name, None)
        else:
            found[name] = value
    return found


def written_cookies(cookies: Mapping[str, str]) -> str:
    """As they stand in a header."""
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


def with_cookies(request: Request, cookies: str) -> Request:
    """The request with these cookies beside those that it has."""
    if not cookies:
        return request
    before = next((value for name, value in request.headers.items() if name.lower() == "cookie"), "")
    others = {name: value for name, value in request.headers.items() if name.lower() != "cookie"}
    return replace(request, headers={**others, "Cookie": merged_cookies(before, cookies)})


def merged_cookies(before: str, cookies: str) -> str:
    """Both as they stand in a header; of two with one name the later."""
    return written_cookies({**_read(before), **_read(cookies)})


def _read(header: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in header.split(";") if "=" in pair)
    return {name.strip(): value.strip() for name, _, value in pairs}
