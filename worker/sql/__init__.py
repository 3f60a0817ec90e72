"""Carries what is asked of a database there, and brings rows back: as transactions that only read, bounded in time and size."""
