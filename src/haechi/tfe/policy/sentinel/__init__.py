"""The Sentinel language: `evaluate` runs one policy, `read_config` reads sentinel.hcl, `run_tests` runs a directory's test cases.

Text becomes tokens (lexer), a tree (parser, nodes) and a result (interpreter, operators, builtins, imports/); the meter stops what is
hostile. Nothing here evaluates Python, touches Python's attributes for a policy, or uses the network.
"""
