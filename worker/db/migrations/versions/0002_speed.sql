-- What throughput asks of the tables. Additive: a process of the version before runs beside it.

-- A ledger that turns over every few minutes must be vacuumed by its churn, and not by its size.
ALTER TABLE runs SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
                      autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000);
