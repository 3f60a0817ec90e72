"""`headrace worker`: as many worker processes as the machine has use for, and one that looks after them."""
