"""States: `document.py` reads one, `versions.py` keeps them. A workspace's states have one lineage and rising serials; none is lost."""
