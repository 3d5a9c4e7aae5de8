"""Runs: how they are made, queued, moved from state to state, and told of.

`states.py` is the table of what may follow what; `lifecycle.py` moves a run; `queue.py` decides whose turn it is; `jobs.py` hands phases
to workers; `logs.py` keeps what they print. Everything happens inside the caller's transaction, so a client never sees half a step.
"""
