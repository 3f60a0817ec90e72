"""From one page to the next: arithmetic on positions, one small class for each way of paging."""
