"""Policies over a run: `sentinel/` interprets the Sentinel language."""
