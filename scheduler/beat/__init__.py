"""Beat: decides when. Run as many as you like."""

from scheduler.beat.process import run_beat

__all__ = ["run_beat"]
