"""Pages for people: signing in, `terraform login`, workspaces, and a run with its log as it happens.

A page asks the handlers of `api/` in the name of whoever signed in, as a client would, and renders what they answer: it may do no more than
the API, and knows no table. Templates are in `templates/`, their Korean in `words.py`; without JavaScript a page shows what is now.
"""
