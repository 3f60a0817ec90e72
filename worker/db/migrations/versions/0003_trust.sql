-- What a trusted copy asks of the tables that are there: options, cursors in slices, tombstones with reasons. Additive: a process of the version before runs beside it.

SELECT 1;
