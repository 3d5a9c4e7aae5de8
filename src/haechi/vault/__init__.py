"""SERVER 2: Vault's HTTP API on a sealed store. Knows nothing of the cloud or of the control side.

A request goes api -> core (steps) -> mounts -> one backend of engines/ or auth/ -> store (barrier over storage). See core.py.
"""

VERSION = "1.17.6"  # whose documented behaviour is followed
BUILD_DATE = "2024-09-24T13:05:00Z"
