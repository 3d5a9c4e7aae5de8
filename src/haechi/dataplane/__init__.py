"""Hosts and packets made real on one Linux machine.

This room knows Linux and no cloud product: it is handed a `plan.Plan` (what should exist) and makes the kernel match.
`reconcile.Dataplane` is the only door into it; the other modules each own one kind of thing: `network` (virtual networks,
ports, addresses), `firewall` (packet rules), `host` and `launcher` (machines), `image` (layers), `balancer`, `dns`.
It imports nothing else of haechi.
"""
