"""How does a system say no? By a status, or by an error in the body of any answer, as its manifest tells."""
