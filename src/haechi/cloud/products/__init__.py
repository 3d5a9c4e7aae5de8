"""The products: one folder per product code, each declaring its actions with `Product.action`."""

from __future__ import annotations

from haechi.cloud.action import Product
from haechi.cloud.products.bssopenapi import bssopenapi
from haechi.cloud.products.ecs import ecs
from haechi.cloud.products.location import location
from haechi.cloud.products.ram import ram
from haechi.cloud.products.slb import slb
from haechi.cloud.products.sts import sts
from haechi.cloud.products.vpc import vpc

PRODUCTS: tuple[Product, ...] = (ecs, vpc, slb, ram, sts, location, bssopenapi)
