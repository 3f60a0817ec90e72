"""Which secrets does a request go with? Those of its connection, opened for it, and opened again after a refusal."""

from collections.abc import Callable, Mapping
from typing import Protocol

from worker.connectors.contract import Response
from worker.errors import AuthExpired, HeadraceError, NeedsOperator
from worker.http.proof import LoginRefused
from worker.secrets import Secret, open_again, open_secret, reopen_secret, stores_away
from worker.telemetry.steps import Steps


class Holder(Protocol):
    """On whose behalf."""

    @property
    def secrets(self) -> Mapping[str, str]: ...
    @property
    def environment(self) -> str | None: ...
    @property
    def steps(self) -> Steps: ...


def opened(holder: Holder) -> dict[str, Secret]:
    """Their values. The run's steps say for how many a store is away, and what was read before is used on."""
    with holder.steps.step("secrets") as step:
        values = {
            name: open_secret(reference, environment=holder.environment)
            for name, reference in holder.secrets.items()
        }
        if away := stores_away():
            step.counts["stores_away"] = len(away)
    return values


def opened_again(
    holder: Holder, refused: Mapping[str, Secret], *, doubtful: bool = False
) -> dict[str, Secret] | None:
    """The values after a system refused these; None if none of them has changed.

    `doubtful`: it may have refused something else. Then what it said isn't hidden by what their stores say.
    """
    try:
        with holder.steps.step("secrets_again"):
            values = {
                name: open_again(
                    holder.secrets[name], known, environment=holder.environment, doubtful=doubtful
                )
                for name, known in refused.items()
            }
    except HeadraceError:
        if doubtful:
            return None
        raise
    return None if values == dict(refused) else values


def proved(
    holder: Holder,
    ask: Callable[[Mapping[str, Secret]], Response],
    says: Callable[[Response], HeadraceError | None] | None = None,
) -> Response:
    """The answer to what is asked with the holder's secrets; where they are refused and were rotated meanwhile, that of a
    second try. `says`: what an answer says, where one may refuse them, too.
    """
    secrets = opened(holder)
    try:
        answer = ask(secrets)
        rotated = None if says is None else rotated_since(holder, secrets, answer.status, says(answer))
        if rotated is None:
            return answer
    except LoginRefused:
        if (rotated := opened_again(holder, secrets)) is None:
            raise
    return ask(rotated)


def rotated_since(
    holder: Holder, used: Mapping[str, Secret], status: int, failure: HeadraceError | None
) -> dict[str, Secret] | None:
    """Other secrets, if the answer refuses those that were used, and they have changed since they were read.

    Some systems say 403 of a key that they know no longer. Mostly it says that its user may not do something.
    """
    if status == 401 or isinstance(failure, AuthExpired):
        return opened_again(holder, used)
    if status == 403 and isinstance(failure, NeedsOperator):
        return opened_again(holder, used, doubtful=True)
    return None


def opens_for(holder: Holder) -> Callable[[str, bool], str]:
    """What opens the references of its network; True: what they led to before was refused."""

    def opens(reference: str, refused: bool) -> str:
        opening = reopen_secret if refused else open_secret
        return opening(reference, environment=holder.environment).reveal()

    return opens
