-- Comparisons with the source, and the fields that records have. Additive: a process of the version before runs beside it.

SELECT 1;
