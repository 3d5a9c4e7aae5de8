"""The products: one folder per product code, each declaring its actions with `Product.action`."""

from __future__ import annotations

from haechi.cloud.action import Product
from haechi.cloud.products import alidns, bssopenapi, cloudfw, ddoscoo, ecs, location, ram, slb, sts, vpc, vpcpeer, waf

PRODUCTS: tuple[Product, ...] = (
    ecs.ecs,
    vpc.vpc,
    vpcpeer.vpcpeer,
    slb.slb,
    ram.ram,
    sts.sts,
    location.location,
    bssopenapi.bssopenapi,
    ddoscoo.ddoscoo,
    cloudfw.cloudfw,
    waf.waf,
    alidns.alidns,
)
