-- The change feed: epochs, consumers, subscriptions, deliveries. Additive: a process of the version before runs beside it.

SELECT 1;
