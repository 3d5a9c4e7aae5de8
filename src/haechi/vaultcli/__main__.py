"""`python -m haechi.vaultcli` is the `vault` command."""

from __future__ import annotations

import sys

from haechi.vaultcli import main

sys.exit(main())
