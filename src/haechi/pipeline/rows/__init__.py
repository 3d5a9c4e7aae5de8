"""`haechi verify`: the story's rows, each proved by doing the thing from outside.

One function per row; it returns what it saw, or raises AssertionError (the row is not true) or another exception (it could not
be tried). Adding a row is one function and one line in ROWS.
"""

from __future__ import annotations

from collections.abc import Callable

from haechi.pipeline.rows.app import row_4_8, row_4_11
from haechi.pipeline.rows.balancer import row_4_9
from haechi.pipeline.rows.edge import row_4_16, row_4_17
from haechi.pipeline.rows.firewall import row_4_14
from haechi.pipeline.rows.image import row_4_5_5, row_4_6, row_4_7
from haechi.pipeline.rows.otp import row_4_5, row_4_10
from haechi.pipeline.rows.provider import row_4_1, row_4_2
from haechi.pipeline.rows.site import row_5_1
from haechi.pipeline.rows.vault import row_4_3, row_4_4
from haechi.pipeline.rows.waf import row_4_15
from haechi.pipeline.run import Run

ROWS: tuple[tuple[str, str, Callable[[Run], str]], ...] = (
    ("4.1", "the Alibaba Cloud provider's resources and data sources", row_4_1),
    ("4.2", "terraform init and the provider's credentials", row_4_2),
    ("4.3", "Vault on an instance of its own", row_4_3),
    ("4.4", "terraform's outputs, and Vault's seal", row_4_4),
    ("4.5", "hosts that ask Vault about one-time passwords", row_4_5),
    ("4.5.5", "deploy_app.sh writes the page", row_4_5_5),
    ("4.6", "Packer's keys come from Vault", row_4_6),
    ("4.7", "packer build, and what it leaves behind", row_4_7),
    ("4.8", "three instances from the blueprint", row_4_8),
    ("4.9", "the load balancer serves from all of them", row_4_9),
    ("4.10", "a one-time password lets in once", row_4_10),
    ("4.11", "the cat, in a browser's eyes", row_4_11),
    ("4.14", "Cloud Firewall in front of every public address", row_4_14),
    ("4.15", "WAF between Anti-DDoS and the load balancer", row_4_15),
    ("4.16", "Anti-DDoS in front of it, under a flood", row_4_16),
    ("4.17", "the domain resolves along the whole chain", row_4_17),
    ("5.1", "the cat by its name, through every hop and no other way", row_5_1),
)
