"""What can be chosen about a demo system when it is started?"""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    port: int = 0
    """On 127.0.0.1. 0: any free one; the ready line says which."""
    seed: int = 7
    factor: float = 1.0
    """Size: 1 is about 5,000 records, of which 3,000 are work orders."""
    epoch: int | None = None
    """The moment (ms since 1970) at which the first records stand; None: the start. With it, data is the same to the byte."""
    rate: float = 0.3
    """Steps of life in a second; 0: frozen."""
    hostile: bool = False
    """Life also purges records without a trace, brings back what was gone, and lets custom fields come, go and turn
    into others."""
    requests: int = 600
    """How many requests a token has in any window of `per` seconds; 0: no limit."""
    per: float = 60.0
    tokens: tuple[str, ...] = field(repr=False)
    """Bearer tokens of the API. Each has a budget of its own."""
    control_token: str | None = field(default=None, repr=False)
    """Opens /control. None: there is no /control."""
    webhook_url: str | None = None
    """Is told of every change. None: nobody is."""
    webhook_secrets: tuple[str, ...] = field(default=(), repr=False)
    """What signs its webhooks: `whsec_` and base64. Several sign each of them, while they are rotated."""
    state: Path | None = None
    """The journal that lets the system survive its process. None: it lives in memory."""
    ready_file: Path | None = None
    """Gets the ready line, whole or not at all; None: it is printed."""
    exit_with_parent: bool = False
    """End when the process that started this one is gone."""
