"""Where may somebody be sent on to after logging in? To a path of this host. Pure."""

import re

_LOCAL = re.compile(r"/(?![/\\])[A-Za-z0-9._~!$&'()*+,;=:@%/-]{0,500}", re.ASCII)


def is_local(path: str) -> bool:
    """Whether a browser stays on this host with it: two slashes, of either kind, would lead to another."""
    return _LOCAL.fullmatch(path) is not None
