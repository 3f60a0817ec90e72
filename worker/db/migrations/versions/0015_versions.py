"""Connections are pinned to a version of their system's manifest, and go from one to another on purpose.

An older Headrace knows nothing of pins: it reads by the manifest that it has, and makes connections without one, which
beat pins later.
"""

from pathlib import Path
from typing import Any, cast

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = cast("Any", op.get_bind().connection.driver_connection)
    connection.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    raise NotImplementedError("Nothing here is in the way of an older version.")
