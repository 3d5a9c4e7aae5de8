"""Policies over a run: `sentinel/` interprets the Sentinel language, `rego.py` asks OPA's engine.

`sets.py` keeps policy sets, `evaluate.py` judges a plan by them.
"""
