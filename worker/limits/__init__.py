"""How fast may an account be asked? `policy` decides (pure); `budget` is the door that everybody uses.

Valkey decides for all workers (`valkey`), Postgres counts what must outlive it (`quotas`), and each worker goes on by itself
where Valkey is away (`local`). What systems say of themselves is in `system`.
"""
