"""The HTTP side: one file per resource, each with its handlers and a visible list ROUTES. `app.py` is the one way through for a request.

A handler takes a Call, opens its own transaction, and returns an Answer; what it raises as ApiError becomes the documented error.
Rules of the domain are not here but in `runs/`, `state/` and `policy/`.
"""
