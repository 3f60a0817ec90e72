"""Who was let in, where a connection bears so many runs at a time: a claim alone doesn't tell who was first.

An older Headrace lets its runs in by their claims, and so, while both are at work, one too many at times.
"""

from pathlib import Path
from typing import Any, cast

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = cast("Any", op.get_bind().connection.driver_connection)
    connection.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    raise NotImplementedError("Nothing here is in the way of an older version.")
