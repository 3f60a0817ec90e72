-- Sweeps: what was seen, what is missing, and the fuse. Additive: a process of the version before runs beside it.

SELECT 1;
