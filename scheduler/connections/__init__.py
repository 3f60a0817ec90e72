"""What does the connections file want, what is there, and how does the one become the other?

    Document ─▶ reading (schema, checks) ─▶ Desired ─┐
                                                     ├─▶ plan (pure) ─▶ Plan ─▶ apply (one transaction)
                          rows ─▶ current ───────────┘

The file owns what it names. What it doesn't name is left alone, and what was edited elsewhere is shown as drift and not
overwritten, unless somebody asks for it.
"""
