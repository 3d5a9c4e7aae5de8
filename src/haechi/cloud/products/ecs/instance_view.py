"""Instances as the API describes them."""

from __future__ import annotations

from typing import Any

import orjson

from haechi.cloud.paging import iso_minute
from haechi.cloud.products.ecs.instances import eip_of
from haechi.cloud.products.ecs.lifetime import expiry, release_time
from haechi.cloud.products.ecs.listing import render_tags
from haechi.cloud.store import Resource, View


def render_eip(view: View, instance: Resource) -> dict[str, Any]:
    """EipAddress: every field there, also when no address is bound."""
    eip = eip_of(view, instance)
    if eip is None:
        return {"AllocationId": "", "IpAddress": "", "InternetChargeType": "", "Bandwidth": 0, "IsSupportUnassociate": False}
    return {
        "AllocationId": eip.id,
        "IpAddress": eip["IpAddress"],
        "Bandwidth": int(eip["Bandwidth"]),
        "InternetChargeType": eip["InternetChargeType"],
        "IsSupportUnassociate": True,
    }


def render_network(view: View, i: Resource) -> dict[str, Any]:
    """The fields that DescribeInstances and DescribeInstanceAttribute share about the network."""
    return {
        "InstanceNetworkType": "vpc",
        "PublicIpAddress": {"IpAddress": [i["PublicIpAddress"]] if i["PublicIpAddress"] else []},
        "InnerIpAddress": {"IpAddress": []},
        "EipAddress": render_eip(view, i),
        "VpcAttributes": {
            "VpcId": i["VpcId"],
            "VSwitchId": i["VSwitchId"],
            "PrivateIpAddress": {"IpAddress": [i["PrivateIpAddress"]]},
            "NatIpAddress": "",
        },
        "SecurityGroupIds": {"SecurityGroupId": list(i["SecurityGroupIds"])},
        "InternetChargeType": i["InternetChargeType"],
        "InternetMaxBandwidthIn": i["InternetMaxBandwidthIn"],
        "InternetMaxBandwidthOut": i["InternetMaxBandwidthOut"],
        "VlanId": "",
    }


def render_common(i: Resource) -> dict[str, Any]:
    """The other fields that both describe."""
    return {
        "InstanceId": i.id,
        "InstanceName": i["InstanceName"],
        "HostName": i["HostName"],
        "Description": i["Description"],
        "RegionId": i.region,
        "ZoneId": i["ZoneId"],
        "ClusterId": "",
        "ImageId": i["ImageId"],
        "InstanceType": i["InstanceType"],
        "Cpu": i["Cpu"],
        "Memory": i["Memory"],
        "Status": i["Status"],
        "StoppedMode": i["StoppedMode"],
        "SerialNumber": i["SerialNumber"],
        "CreationTime": iso_minute(i["CreatedAt"]),
        "ExpiredTime": expiry(i),
        "InstanceChargeType": i["InstanceChargeType"],
        "CreditSpecification": i["CreditSpecification"],
        "OperationLocks": {"LockReason": []},
        "DedicatedHostAttribute": {"DedicatedHostId": "", "DedicatedHostName": "", "DedicatedHostClusterId": ""},
        "SecurityOptions": {"EnableSecureBoot": False},
    }


def render_interface_row(i: Resource) -> dict[str, Any]:
    addresses = [i["PrivateIpAddress"], *i["SecondaryPrivateIps"]]
    return {
        "NetworkInterfaceId": i["NetworkInterfaceId"],
        "MacAddress": i["MacAddress"],
        "PrimaryIpAddress": i["PrivateIpAddress"],
        "Type": "Primary",
        "PrivateIpSets": {
            "PrivateIpSet": [{"PrivateIpAddress": a, "Primary": n == 0, "PrivateDnsName": ""} for n, a in enumerate(addresses)]
        },
        "Ipv6Sets": {"Ipv6Set": []},
        "Ipv4PrefixSets": {"Ipv4PrefixSet": []},
        "Ipv6PrefixSets": {"Ipv6PrefixSet": []},
    }


def render_instance(view: View, i: Resource) -> dict[str, Any]:
    """One item of DescribeInstances. HpcClusterId, DeploymentSetId and AutoReleaseTime are "" when unset, as clients rely on."""
    return {
        **render_common(i),
        **render_network(view, i),
        "InstanceTypeFamily": i["InstanceType"].rsplit(".", 1)[0],
        "StartTime": i["StartTime"],
        "AutoReleaseTime": release_time(i),
        "KeyPairName": i["KeyPairName"],
        "OSName": i["OSName"],
        "OSNameEn": i["OSNameEn"],
        "OSType": i["OSType"],
        "IoOptimized": i["IoOptimized"],
        "DeviceAvailable": True,
        "Recyclable": i.get("Recyclable", False),
        "SaleCycle": "",
        "GPUAmount": 0,
        "GPUSpec": "",
        "LocalStorageAmount": 0,
        "LocalStorageCapacity": 0,
        "DeletionProtection": i["DeletionProtection"],
        "SpotStrategy": i["SpotStrategy"],
        "SpotPriceLimit": i["SpotPriceLimit"],
        "SpotDuration": i["SpotDuration"],
        "SpotInterruptionBehavior": i["SpotInterruptionBehavior"],
        "ResourceGroupId": i["ResourceGroupId"],
        "HpcClusterId": "",
        "DeploymentSetId": "",
        "DeploymentSetGroupNo": 0,
        "ISP": "",
        "NetworkInterfaces": {"NetworkInterface": [render_interface_row(i)]},
        "RdmaIpAddress": {"IpAddress": []},
        "Tags": render_tags(i),
        "MetadataOptions": {
            "HttpEndpoint": i["HttpEndpoint"],
            "HttpTokens": i["HttpTokens"],
            "HttpPutResponseHopLimit": i["HttpPutResponseHopLimit"],
            "InstanceMetadataTags": i["InstanceMetadataTags"],
        },
        "CpuOptions": {"CoreCount": i["Cpu"], "ThreadsPerCore": 1, "Numa": "", "TopologyType": ""},
        "HibernationOptions": {"Configured": False},
        "AdditionalInfo": {"EnableHighDensityMode": False, "ManagedHostId": "", "NodeSerialNumber": ""},
        "ClockOptions": {"PtpStatus": ""},
        "EnableNVS": False,
        "ImageOptions": {"LoginAsNonRoot": i["LoginAsNonRoot"], "CurrentOSNVMeSupported": False},
        "DedicatedInstanceAttribute": {"Affinity": "", "Tenancy": ""},
        "EcsCapacityReservationAttr": {"CapacityReservationId": "", "CapacityReservationPreference": ""},
        "PrivateDnsNameOptions": {
            "EnableInstanceIdDnsARecord": False,
            "EnableInstanceIdDnsAAAARecord": False,
            "EnableIpDnsARecord": False,
            "EnableIpDnsPtrRecord": False,
            "HostnameType": "Custom",
        },
    }


def instance_json(view: View, i: Resource) -> orjson.Fragment:
    """The same as JSON text, kept until the next commit: listing many instances is what clients do most."""
    return view.remember(("DescribeInstances", i.id), lambda: orjson.Fragment(orjson.dumps(render_instance(view, i))))
