"""What does a reference to a secret look like, and who opens it?

    env://NAME             an environment variable of the worker
    file:///absolute/path  a file that the worker may read

Promises: an opened value is known to the redactor before anybody else sees it. What isn't a reference is refused
without being repeated, since it may be the secret itself, typed in by mistake.
Does not promise that the value is right: that is for the system to say.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from worker.errors import InvalidInput, NeedsOperator
from worker.secrets import env, file
from worker.telemetry.redaction import redactor

_OPENERS: Mapping[str, Callable[[str], str]] = {"env": env.read, "file": file.read}
_FAULTS: Mapping[str, Callable[[str], str | None]] = {"env": env.fault, "file": file.fault}
_FORM = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_LONGEST = 4096
_HINT = (
    "Put the value into an environment variable or a file and write env://NAME or file:///absolute/path here."
)


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a secret is kept. Holds no secret."""

    scheme: str
    name: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.name}"


def parse_reference(text: object, *, name: str = "secret") -> Reference:
    """Read a reference, or raise `InvalidInput`; `name` is what the secret is called where it was written."""
    found = _FORM.fullmatch(text) if isinstance(text, str) and len(text) <= _LONGEST else None
    if found is None:
        raise InvalidInput(
            "plain_secret", f"The value given for `{name}` is not a reference to a secret.", hint=_HINT
        )
    scheme, rest = found[1], found[2]
    if scheme not in _OPENERS:
        near = get_close_matches(scheme.lower(), _OPENERS, n=1)
        known = " and ".join(f"{each}://" for each in _OPENERS)
        raise InvalidInput(
            "unknown_secret_scheme",
            f"The value given for `{name}` has a scheme that isn't known; known are {known}.",
            hint=f"Did you mean {near[0]}://?" if near else _HINT,
        )
    fault = _FAULTS[scheme](rest)
    if fault is not None:
        raise InvalidInput("bad_secret_reference", f"The value given for `{name}` {fault}.", hint=_HINT)
    return Reference(scheme, rest)


def open_secret(reference: str) -> str:
    """The value behind a reference, or `NeedsOperator` saying what to mend. It is redacted from here on."""
    try:
        parsed = parse_reference(reference)
    except InvalidInput as exc:
        raise NeedsOperator("secret_unresolved", exc.message, hint=exc.hint) from None
    value = _OPENERS[parsed.scheme](parsed.name)
    redactor.add(value)
    return value
