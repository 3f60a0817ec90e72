"""How is a delete noticed, confirmed and made? Evidence, a second look, and a fuse."""
