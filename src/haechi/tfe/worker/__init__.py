"""The worker: takes jobs, runs the real terraform in a directory of the run's own, tells what it prints, stores what it leaves.

`worker.py` has the slots and the loop; `plan.py` and `apply.py` are the two phases; `process.py` starts terraform under `supervise.py`, a
program of its own that outlives the server, and follows it; `directory.py` and `environment.py` say what a run sees.
"""
