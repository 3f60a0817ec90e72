"""How is the copy held against the source, and what is known of the records that could not be taken?"""
