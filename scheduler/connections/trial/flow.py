"""How is a discovery carried out? Each of its requests is sent as a run's are, one after the other."""

from collections.abc import Callable, Sequence

from worker.connectors.contract import Discovery, Found, Request
from worker.errors import HeadraceError, RateLimited, Transient
from worker.http.proof import LoginRefused
from worker.http.sender import CallContext, Sender

SECONDS = 60.0
"""For which a system is asked; a person is waiting."""


def found_by(
    flow: Discovery, sender: Sender, context: CallContext, is_late: Callable[[], bool]
) -> Sequence[Found]:
    """What a discovery finds; what went wrong is raised."""
    try:
        request = next(flow)
        while True:
            if is_late():
                raise Transient(
                    "discovery_too_long", f"The system didn't say it all within {SECONDS:.0f} seconds."
                )
            request = _step(flow, sender, context, request)
    except StopIteration as end:
        found: Sequence[Found] = end.value
        return found
    finally:
        flow.close()


def _step(flow: Discovery, sender: Sender, context: CallContext, request: Request) -> Request:
    """The request after this one. What the system refuses is the generator's to do without; a log-in or a limit isn't."""
    try:
        response = sender.send(context, request)
    except (LoginRefused, RateLimited):
        raise
    except HeadraceError as exc:
        return flow.throw(exc)
    return flow.send(response)
