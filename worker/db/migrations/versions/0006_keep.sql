-- Versions of records, and what was erased. Additive: a process of the version before runs beside it.

SELECT 1;
