"""How does a token come into being, how is it replaced by a fresh one, and how does it end?"""
