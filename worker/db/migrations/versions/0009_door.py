"""The way in: tokens, events of webhooks, customers who connect their systems."""

from pathlib import Path
from typing import Any, cast

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Straight to the driver: the text holds `%`, which is no parameter.
    connection = cast("Any", op.get_bind().connection.driver_connection)
    connection.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    raise NotImplementedError("Nothing here is in the way of an older version.")
