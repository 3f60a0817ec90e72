"""The places where companies keep secrets, one file each, behind one protocol (`port`)."""
