"""The provider block of alicloud: its arguments and environment variables.

https://registry.terraform.io/providers/aliyun/alicloud/latest/docs
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from haechi.provider.resource import Problem, words
from haechi.provider.schema import Fields, Values, block, one_of, optional, required
from haechi.provider.types import BOOL, NUMBER, STRING_MAP

DEFAULT_REGION = "cn-beijing"
# Keys of the endpoints block; the products of haechi's blueprints and those near them.
_ENDPOINTS = words("""
    actiontrail adb alb alidns alikafka antiddos_public apigateway arms bastionhost bssopenapi cas cbn cbs cdn cloudapi cloudauth
    cloudfirewall cloudfw cloudsso cms config cr cs das dcdn ddosbasic ddosbgp ddoscoo dds dm dns dts ebs ecd eci ecs edas ehpc
    elasticsearch emr ens ess eventbridge fc fnf ga gpdb hbr ims kms kvstore location log market maxcompute mns mse nas nlb ons oos
    opensearch oss ots polardb privatelink pvtz quotas r_kvstore ram rds redisa resourcemanager ros sae sas scdn sddp servicemesh sgw
    slb sts tag vod vpc vpcpeer vs waf waf_openapi
""")

FIELDS: Fields = {
    "access_key": optional(),
    "secret_key": optional(sensitive=True),
    "security_token": optional(sensitive=True),
    "region": optional(),
    "profile": optional(),
    "shared_credentials_file": optional(),
    "ecs_role_name": optional(),
    "credentials_uri": optional(),
    "account_id": optional(),
    "account_type": optional(check=one_of("Domestic", "International")),
    "protocol": optional(check=one_of("HTTP", "HTTPS")),
    "skip_region_validation": optional(BOOL),
    "configuration_source": optional(),
    "client_read_timeout": optional(NUMBER),
    "client_connect_timeout": optional(NUMBER),
    "max_retry_timeout": optional(NUMBER),
    "source_ip": optional(),
    "secure_transport": optional(),
    "security_transport": optional(deprecated="It has been deprecated from version 1.136.0 and using new field secure_transport instead."),
    "fc": optional(deprecated="Field 'fc' has been deprecated. New field 'endpoints' instead."),
    "log_endpoint": optional(deprecated="Field 'log_endpoint' has been deprecated. New field 'endpoints' instead."),
    "sign_version": block("set", max_items=1, fields={"oss": optional(), "sls": optional()}),
    "endpoints": block("set", fields={name: optional() for name in _ENDPOINTS}),
    "assume_role": block(
        "set",
        max_items=1,
        fields={
            "role_arn": required(),
            "session_name": optional(),
            "policy": optional(),
            "session_expiration": optional(NUMBER),
            "external_id": optional(),
        },
    ),
    "assume_role_with_oidc": block(
        "set",
        max_items=1,
        fields={
            "oidc_provider_arn": optional(),
            "oidc_token_file": optional(),
            "oidc_token": optional(sensitive=True),
            "role_arn": optional(),
            "role_session_name": optional(),
            "policy": optional(),
            "session_expiration": optional(NUMBER),
        },
    ),
    "default_tags": optional(STRING_MAP),
}

_ENVIRONMENT: Mapping[str, tuple[str, ...]] = {
    "access_key": ("ALICLOUD_ACCESS_KEY", "ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABACLOUD_ACCESS_KEY_ID"),
    "secret_key": ("ALICLOUD_SECRET_KEY", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABACLOUD_ACCESS_KEY_SECRET"),
    "security_token": ("ALICLOUD_SECURITY_TOKEN", "ALIBABA_CLOUD_SECURITY_TOKEN", "ALIBABACLOUD_SECURITY_TOKEN"),
    "region": ("ALICLOUD_REGION", "ALIBABA_CLOUD_REGION"),
    "profile": ("ALICLOUD_PROFILE", "ALIBABA_CLOUD_PROFILE"),
    "shared_credentials_file": ("ALICLOUD_SHARED_CREDENTIALS_FILE", "ALIBABA_CLOUD_CREDENTIALS_FILE"),
    "ecs_role_name": ("ALICLOUD_ECS_ROLE_NAME", "ALIBABA_CLOUD_ECS_METADATA"),
    "credentials_uri": ("ALICLOUD_CREDENTIALS_URI", "ALIBABA_CLOUD_CREDENTIALS_URI"),
    "account_id": ("ALICLOUD_ACCOUNT_ID", "ALIBABA_CLOUD_ACCOUNT_ID"),
    "account_type": ("ALIBABA_CLOUD_ACCOUNT_TYPE",),
    "client_read_timeout": ("CLIENT_READ_TIMEOUT",),
    "client_connect_timeout": ("CLIENT_CONNECT_TIMEOUT",),
    "skip_region_validation": ("ALICLOUD_SKIP_REGION_VALIDATION",),
}
_ASSUME_ROLE: Mapping[str, tuple[str, ...]] = {
    "role_arn": ("ALICLOUD_ASSUME_ROLE_ARN", "ALIBABA_CLOUD_ROLE_ARN"),
    "session_name": ("ALICLOUD_ASSUME_ROLE_SESSION_NAME", "ALIBABA_CLOUD_ROLE_SESSION_NAME"),
    "session_expiration": ("ALICLOUD_ASSUME_ROLE_SESSION_EXPIRATION",),
}
_OIDC: Mapping[str, tuple[str, ...]] = {
    "oidc_provider_arn": ("ALIBABA_CLOUD_OIDC_PROVIDER_ARN",),
    "oidc_token_file": ("ALIBABA_CLOUD_OIDC_TOKEN_FILE",),
    "oidc_token": ("ALIBABA_CLOUD_OIDC_TOKEN",),
    "role_arn": ("ALIBABA_CLOUD_ROLE_ARN",),
    "role_session_name": ("ALIBABA_CLOUD_ROLE_SESSION_NAME",),
}
_REGIONS = words("""
    cn-qingdao cn-beijing cn-zhangjiakou cn-huhehaote cn-wulanchabu cn-hangzhou cn-shanghai cn-shenzhen cn-heyuan cn-guangzhou cn-
    chengdu cn-hongkong cn-nanjing cn-fuzhou cn-wuhan-lr cn-zhongwei ap-northeast-1 ap-northeast-2 ap-southeast-1 ap-southeast-2 ap-
    southeast-3 ap-southeast-5 ap-southeast-6 ap-southeast-7 ap-south-1 us-east-1 us-west-1 us-southeast-1 eu-west-1 eu-central-1 me-
    east-1 me-central-1 na-south-1 cn-hangzhou-finance cn-shanghai-finance-1 cn-shenzhen-finance-1 cn-beijing-finance-1 cn-
    north-2-gov-1 cn-hangzhou-finance-1 cn-shenzhen-finance cn-heyuan-acdr-1 cn-zhengzhou-jva cn-hangzhou-acdr-ut-1 cn-wulanchabu-
    acdr-1
""")


def with_environment(config: Values) -> Values:
    """The block's values, each empty one taken from its environment variables."""
    values = {name: _first(config.get(name), _ENVIRONMENT.get(name, ())) for name in FIELDS}
    role = dict(next(iter(config.get("assume_role") or []), {}))
    values["assume_role"] = {n: _first(role.get(n), _ASSUME_ROLE.get(n, ())) for n in (*_ASSUME_ROLE, "policy", "external_id")}
    oidc = dict(next(iter(config.get("assume_role_with_oidc") or []), {}))
    values["assume_role_with_oidc"] = {n: _first(oidc.get(n), _OIDC.get(n, ())) for n in (*_OIDC, "policy", "session_expiration")}
    return values


def check_region(values: Values) -> None:
    """Refuse an unknown region, as the original does, unless told not to look."""
    skip = str(values["skip_region_validation"] or "").lower() in ("true", "1")
    if not skip and values["region"] not in _REGIONS:
        raise Problem(
            f"Invalid Alibaba Cloud region: {values['region']}", "Set skip_region_validation to use it all the same.", ("region",)
        )


def _first(value: Any, variables: tuple[str, ...]) -> Any:
    if value not in (None, ""):
        return value
    return next((os.environ[name] for name in variables if os.environ.get(name)), None)
