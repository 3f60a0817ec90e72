"""The small page on which a customer connects one system. It needs no script, loads nothing from elsewhere, and knows nothing
but its own link.
"""
