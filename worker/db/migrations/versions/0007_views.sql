-- Views that people can query, and what they are made from. Additive: a process of the version before runs beside it.

SELECT 1;
