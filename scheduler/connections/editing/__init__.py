"""How is one connection made or changed without a file? By the same checks, the same plan and the same rows.

What a file last set stays remembered as it was, so an edit of a connection that a file owns shows there as drift.
"""
