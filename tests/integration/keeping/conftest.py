"""A key to make digests with."""

from pathlib import Path

import pytest

from worker.config import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """With a privacy key of this test's own."""
    (tmp_path / "privacy-key").write_text("a privacy key of a test\n")
    return Settings(home=tmp_path, privacy_key=f"file://{tmp_path}/privacy-key")
