"""The products: one folder per product code, each declaring its actions with `Product.action`."""

from __future__ import annotations

from haechi.cloud.action import Product
from haechi.cloud.products import bssopenapi, ecs, location, ram, slb, sts, vpc

PRODUCTS: tuple[Product, ...] = (ecs.ecs, vpc.vpc, slb.slb, ram.ram, sts.sts, location.location, bssopenapi.bssopenapi)
