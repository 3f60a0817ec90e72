"""A connection to a system with all that goes wrong where webhooks are registered."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from psycopg.types.json import Jsonb
from pydantic import SecretStr
from servers.systems.hooking import MANIFEST, TOKEN, hooking_system
from servers.systems.registered import HookingPlant, Make

from worker.config import load_settings
from worker.services import Services


@pytest.fixture
def make(
    database_url: str, broker_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Make]:
    """A plant, with a manifest that may differ."""
    opened: list[Services] = []
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "hook").write_text("the-signing-secret\nthe-one-before")
    for name in ("token", "hook"):
        (tmp_path / name).chmod(0o600)

    with hooking_system() as system:

        def made(change: Callable[[str], str] = str) -> HookingPlant:
            folder = tmp_path / "systems" / "hooking"
            folder.mkdir(parents=True)
            (folder / "manifest.yaml").write_text(change(MANIFEST))
            settings = load_settings(
                database_url=SecretStr(database_url), broker_url=SecretStr(broker_url),
                connectors=(tmp_path / "systems",), short_wait=0.5,
            )  # fmt: skip
            services = Services.open(settings, name="test")
            opened.append(services)
            assert not services.registry.problems()
            secrets = {"token": f"file://{tmp_path}/token", "hook_secret": f"file://{tmp_path}/hook"}
            row = services.database.one(
                """INSERT INTO connections (name, environment, system, settings, secrets)
                   VALUES ('plant', 'live', 'hooking', %s, %s) RETURNING id""",
                (Jsonb({"base_url": system.base_url}), Jsonb(secrets)),  # type: ignore[arg-type]
            )
            assert row
            return HookingPlant(services, row["id"], system)

        yield made
    for services in opened:
        services.close()
