"""The policies that exist in every account (the ones for products that are served here)."""

from __future__ import annotations

import json
from collections.abc import Iterable

CREATED = 1430243261.0  # 2015-04-28, when RAM opened


def _allow(*actions: str) -> str:
    return json.dumps({"Version": "1", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]})


def _reads(*products: str) -> Iterable[str]:
    return [f"{p}:{verb}*" for p in products for verb in ("Describe", "List", "Get", "Query", "Check")]


NETWORKS = ("vpc:DescribeVpcs", "vpc:DescribeVSwitches")
SYSTEM: dict[str, tuple[str, str]] = {  # name: (description, document)
    "AdministratorAccess": ("Provides full access to Alibaba Cloud services and resources.", _allow("*")),
    "ReadOnlyAccess": ("Provides read-only access to Alibaba Cloud services and resources.", _allow(*_reads("*"))),
    "AliyunECSFullAccess": ("Provides full access to Elastic Compute Service.", _allow("ecs:*", *NETWORKS)),
    "AliyunECSReadOnlyAccess": ("Provides read-only access to Elastic Compute Service.", _allow(*_reads("ecs"), *NETWORKS)),
    "AliyunVPCFullAccess": ("Provides full access to Virtual Private Cloud.", _allow("vpc:*")),
    "AliyunVPCReadOnlyAccess": ("Provides read-only access to Virtual Private Cloud.", _allow(*_reads("vpc"))),
    "AliyunEIPFullAccess": ("Provides full access to Elastic IP Address.", _allow("vpc:*Eip*", *NETWORKS)),
    "AliyunEIPReadOnlyAccess": ("Provides read-only access to Elastic IP Address.", _allow("vpc:DescribeEip*", *NETWORKS)),
    "AliyunSLBFullAccess": ("Provides full access to Server Load Balancer.", _allow("slb:*")),
    "AliyunSLBReadOnlyAccess": ("Provides read-only access to Server Load Balancer.", _allow(*_reads("slb"))),
    "AliyunRAMFullAccess": ("Provides full access to Resource Access Management.", _allow("ram:*")),
    "AliyunRAMReadOnlyAccess": ("Provides read-only access to Resource Access Management.", _allow(*_reads("ram"))),
    "AliyunSTSAssumeRoleAccess": ("Provides access to the AssumeRole operation of STS.", _allow("sts:AssumeRole")),
    "AliyunDNSFullAccess": ("Provides full access to Alibaba Cloud DNS.", _allow("alidns:*")),
    "AliyunYundunCloudFirewallFullAccess": ("Provides full access to Cloud Firewall.", _allow("yundun-cloudfirewall:*")),
    "AliyunYundunWAFFullAccess": ("Provides full access to Web Application Firewall.", _allow("yundun-waf:*")),
    "AliyunYundunSASFullAccess": ("Provides full access to Security Center.", _allow("yundun-sas:*")),
    "AliyunYundunDDosCooFullAccess": ("Provides full access to Anti-DDoS Pro.", _allow("yundun-ddoscoo:*")),
}
