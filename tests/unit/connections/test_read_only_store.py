"""A system that replaces a secret each time it is used, and a store that can't be written: said before anything is lost."""

from pathlib import Path
from typing import cast

import pytest
from servers.systems.consenting import write_manifest

from scheduler.connections.trial.trial import Candidate, try_connection
from worker.connectors.registry import Registry
from worker.errors import NeedsOperator
from worker.http.sender import Sender


class Spending:
    """Spends no token whose successor couldn't be kept."""

    def send(self, *_: object) -> object:
        raise NeedsOperator("secret_not_writable", "It can't be written.")


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("env://ACME_REFRESH", "can be opened and not written"),
        ("vault://live/acme#refresh?version=3", "can be opened and not written"),
        ("env://ACME_NOT_SET", "the environment variable is not set"),
    ],
)
def test_a_trial_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: str, said: str) -> None:
    monkeypatch.setenv("ACME_REFRESH", "planted-refresh")
    monkeypatch.setattr("worker.secrets.stores.vault.store.VaultStore.read", lambda *_: "planted-refresh")
    candidate = Candidate(
        system="consenting",
        environment="live",
        settings={"port": "9"},
        secrets={
            "client_id": "env://ACME_REFRESH",
            "client_secret": "env://ACME_REFRESH",
            "refresh_token": reference,
        },
        network={},
    )
    report = try_connection(
        cast("Sender", Spending()), Registry.load((write_manifest(tmp_path),)), candidate, request_id="r"
    )
    assert not report.reached
    bad = next(each for each in report.findings if each.outcome == "failed")
    assert (bad.about, said in bad.words, bool(bad.hint)) == ("secret refresh_token", True, True)
