"""Lists that are narrowed: the acts of one customer, person, token or kind, events that failed, fields that drifted, held deletes."""

from alembic import op

from worker.db.migrations.building import build_parted, build_whole

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

PARTED = {
    "audit_tenant": ("audit", "(tenant, id DESC) WHERE tenant IS NOT NULL"),
    "audit_actor": ("audit", "(actor, id DESC)"),
    "audit_token": ("audit", "(token_id, id DESC) WHERE token_id IS NOT NULL"),
    "audit_action": ("audit", "(action, id DESC)"),
    "events_failed": ("events", "(id DESC) WHERE state = 'failed'"),
}
WHOLE = {
    "stream_fields_drifted": (
        "stream_fields",
        "(stream_id, path) WHERE state <> 'known' AND (accepted_at IS NULL OR accepted_at < changed_at)",
    ),
    "streams_held": ("streams", "(id) WHERE fuse IS NOT NULL"),
}


def upgrade() -> None:
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        for index, (table, on) in PARTED.items():
            build_parted(connection, index, table, on)
        for index, (table, on) in WHOLE.items():
            build_whole(connection, index, table, on)


def downgrade() -> None:
    raise NotImplementedError("Nothing here is in the way of an older version.")
