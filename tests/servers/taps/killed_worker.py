"""A worker process that carries out one run of a tap, and is killed meanwhile: killed_worker.py <database> <broker> <home> <run>"""

import sys
from pathlib import Path
from uuid import UUID

from pydantic import SecretStr

from worker.config import load_settings
from worker.engine.perform import carry_out
from worker.services import Services


def main(database: str, broker: str, home: str, run: str) -> None:
    settings = load_settings(
        database_url=SecretStr(database), broker_url=SecretStr(broker), home=Path(home), lease=2.0
    )
    services = Services.open(settings, name="killed", threads=2)
    carry_out(services, UUID(run))
    services.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
