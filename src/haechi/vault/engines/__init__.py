"""Secrets engines: what is mounted at a path and keeps, makes or signs secrets. One file per engine (or a few with its name)."""
