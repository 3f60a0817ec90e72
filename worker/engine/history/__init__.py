"""How does a stream's history come in beside its live cursor?

The live run, before it reads anything, sees to it that the live cursor stands and that the history is on its way: as a
run of its own in the bulk lane, with cursors of its own (`slices`), read by `tracks.history`. Both are committed together,
and once: whichever run comes first, and however often one dies here.
"""

from worker.engine.history.begin import begin

__all__ = ["begin"]
