"""Somebody lets Headrace into a system: at the command line, or a customer by a link, without seeing anything else.

What they type goes to a secret store and nowhere else. Where a system has OAuth 2.0, they log in there, and what comes
back is a code, which is exchanged for a token that goes to the store.
"""
