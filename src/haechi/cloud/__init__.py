"""Server 1: a local Alibaba Cloud.

A request comes in by `door` (plain, TLS or proxied), passes `gateway` (one visible list of steps) and runs one function of a
product. `acs` is the wire's rules without IO, `params` parses what the wire carries, `action` declares what is served, `store`
keeps resources, `desired` turns the store into the data plane's plan, `machines` drives instances from state to state.
"""
