"""The Terraform Enterprise room: runs, workspaces, state and policies, spoken as the terraform program and its API clients expect.

`policy/` judges a run's plan. Nothing here imports another server, the data plane or the control side.
"""
