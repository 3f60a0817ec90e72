"""What a double is asked, and what it answers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl


@dataclass(frozen=True)
class Call:
    """A request as it came."""

    method: str
    path: str
    """Without the query, percent-decoded."""
    query: str
    headers: Mapping[str, str]
    """Their names in lower case."""
    body: bytes

    @cached_property
    def params(self) -> list[tuple[str, str]]:
        """The query, in its order; a name may come several times."""
        return parse_qsl(self.query, keep_blank_values=True)

    def param(self, name: str, default: str | None = None) -> str | None:
        """The last value of a parameter."""
        return dict(self.params).get(name, default)

    def number(self, name: str, default: int) -> int:
        """A parameter as a whole number."""
        return int(self.param(name) or default)

    @cached_property
    def json(self) -> Any:
        """The body as JSON; None where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @cached_property
    def form(self) -> Mapping[str, str]:
        """The body as a form, as tokens are asked for."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))

    @property
    def cookies(self) -> Mapping[str, str]:
        """By their names."""
        parts = (part.partition("=") for part in self.headers.get("cookie", "").split(";") if "=" in part)
        return {name.strip(): value.strip() for name, _, value in parts}

    @property
    def words(self) -> str:
        """Method, path and query, for people."""
        return f"{self.method} {self.path}" + (f"?{self.query}" if self.query else "")


@dataclass(frozen=True)
class Answer:
    """What the system says. A body that isn't bytes or text is sent as JSON."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    """The connection ends in the middle of the body."""

    @cached_property
    def content(self) -> bytes:
        """The body's bytes."""
        if isinstance(self.body, bytes):
            return self.body
        if isinstance(self.body, str):
            return self.body.encode()
        return json.dumps(self.body, separators=(",", ":")).encode()

    @property
    def content_type(self) -> str:
        """What it is said to be, where the headers say nothing."""
        return "text/plain" if isinstance(self.body, bytes | str) else "application/json"


@dataclass(frozen=True)
class Exchange:
    """One line of a double's log."""

    call: Call
    answer: Answer
    kind: str
    """`data`, `login`, `refused` (its proof wasn't good), or the name of a trouble."""
