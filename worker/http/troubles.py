"""What is wrong with the secrets of this process that nobody else can see?

    secret_store_away           a store gives it no answer, and what it read before is used on
    replaced_secret_unwritten   a system replaced a secret, and the new one is in the memory of this process alone

Told with its sign of life. Holds references and never a value.
"""

from worker.http.rotation import unwritten_secrets
from worker.secrets import stores_away

MOST = 20
LONGEST = 300


def secret_troubles() -> list[dict[str, str]]:
    """The most that are told of; the worse ones first."""
    lost = [{"code": "replaced_secret_unwritten", "what": each} for each in unwritten_secrets()]
    away = [
        {"code": "secret_store_away", "what": place, "why": why[:LONGEST]}
        for place, why in sorted(stores_away().items())
    ]
    return [*lost, *away][:MOST]
