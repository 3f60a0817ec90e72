"""Which runs are sent for now, and how many at once?"""
