"""Terraform providers served from Python, for when the registry is out of reach.

`aliyun/alicloud` (a subset) and `hashicorp/random`, with the schemas, defaults and planning of the originals. The layers,
each knowing only those before it: types (values), schema (declarations), plan (what changes), resource (one object in the
middle of an operation), wire and server (Terraform's plugin protocol 6), plugin (process start), mirror (installation).
A resource is one file in `alicloud/` or `random/` and one line in that folder's `__init__`.
"""
