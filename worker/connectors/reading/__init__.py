"""From the bytes of a page to records: pure, and where a first load spends its time."""
