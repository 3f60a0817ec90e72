"""How the requests of a connection leave that a customer makes by a link: to public addresses only, where they chose the address."""

from pathlib import Path
from typing import Any, cast

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = cast("Any", op.get_bind().connection.driver_connection)
    connection.execute(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    raise NotImplementedError("Nothing here is in the way of an older version.")
