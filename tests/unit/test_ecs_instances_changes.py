"""Instances changed: attributes, type, bandwidth, network, system disk, options."""

from __future__ import annotations

import pytest

from tests.localcloud import LocalCloud
from tests.unit.ecs_bench import IMAGE, Bench, make_bench, make_group, make_key, make_role, refused

REGION = "ap-southeast-1"


@pytest.fixture
def bench(cloud: LocalCloud) -> Bench:
    return make_bench(cloud)


def test_attributes(bench: Bench) -> None:
    cloud, id = bench.cloud, bench.create(Description="old", UserData="YQ==")
    more = make_group(cloud, bench.vpc, "sg-two")
    cloud.call(
        "ModifyInstanceAttribute",
        InstanceId=id,
        InstanceName="new",
        Description="",
        HostName="host-2",
        UserData="Yg==",
        DeletionProtection=True,
        SecurityGroupIds=[more],
        CreditSpecification="Standard",
        EnableJumboFrame=True,
        Password="Planted-Secret1",
    )
    seen = bench.get(id)
    assert (seen["InstanceName"], seen["Description"], seen["HostName"], seen["DeletionProtection"]) == ("new", "", "host-2", True)
    assert seen["SecurityGroupIds"]["SecurityGroupId"] == [more] and seen["CreditSpecification"] == "Standard"
    assert cloud.call("DescribeUserData", InstanceId=id)["UserData"] == "Yg=="
    assert cloud.call("DescribeInstanceAttribute", InstanceId=id)["EnableJumboFrame"] is True
    host = cloud.dataplane.plan.hosts[id]
    assert host.hostname == "host-2" and host.port.groups == (more,) and host.password_hash.startswith("$6$")
    cloud.call("ModifyInstanceAttribute", InstanceId=id, InstanceName="newer")
    assert bench.get(id)["HostName"] == "host-2" and bench.stored(id)["UserData"] == "Yg=="


def test_attributes_refused(bench: Bench) -> None:
    cloud, id = bench.cloud, bench.run()
    for code, params in (
        ("InvalidInstanceName.Malformed", {"InstanceName": "x"}),
        ("InvalidHostName.Malformed", {"HostName": "a_b"}),
        ("InvalidPassword.Malformed", {"Password": "simple"}),
        ("InvalidDescription.Malformed", {"Description": "http://x"}),
        ("InvalidUserData.Base64FormatInvalid", {"UserData": "*"}),
    ):
        refused(cloud, "ModifyInstanceAttribute", code, InstanceId=id, **params)
    refused(cloud, "ModifyInstanceAttribute", "IncorrectInstanceStatus", 403, InstanceId=id, UserData="YQ==")
    refused(cloud, "ModifyInstanceAttribute", "InvalidInstanceId.NotFound", 404, InstanceId="i-no", InstanceName="xx")
    refused(cloud, "ModifyInstanceAttribute", "InvalidSecurityGroupId.NotFound", 404, InstanceId=id, SecurityGroupIds=["sg-no"])


def test_another_type(bench: Bench) -> None:
    cloud, id = bench.cloud, bench.run()
    refused(cloud, "ModifyInstanceSpec", "IncorrectInstanceStatus", 403, InstanceId=id, InstanceType="ecs.g6.large")
    cloud.call("StopInstance", InstanceId=id)
    bench.wait(id, "Stopped")
    cloud.call("ModifyInstanceSpec", InstanceId=id, InstanceType="ecs.g6.large")
    seen = bench.get(id)
    assert (seen["InstanceType"], seen["Cpu"], seen["Memory"]) == ("ecs.g6.large", 2, 8192)
    assert (cloud.dataplane.plan.hosts[id].cpus, cloud.dataplane.plan.hosts[id].memory_mib) == (2, 8192)
    refused(cloud, "ModifyInstanceSpec", "InvalidInstanceType.ValueNotSupported", InstanceId=id, InstanceType="ecs.none")
    refused(cloud, "ModifyPrepayInstanceSpec", "ChargeTypeViolation", 403, InstanceId=id, InstanceType="ecs.g6.large")
    cloud.call("ModifyInstanceChargeType", InstanceIds=f'["{id}"]', Period=1)
    refused(cloud, "ModifyInstanceSpec", "ChargeTypeViolation", 403, InstanceId=id, InstanceType="ecs.n1.tiny")
    cloud.call("ModifyPrepayInstanceSpec", InstanceId=id, InstanceType="ecs.n1.tiny")
    assert bench.get(id)["Memory"] == 1024


def test_bandwidth(bench: Bench) -> None:
    cloud, id = bench.cloud, bench.run()
    cloud.call("ModifyInstanceNetworkSpec", InstanceId=id, InternetMaxBandwidthOut=20, NetworkChargeType="PayByBandwidth")
    seen = bench.get(id)
    assert (seen["InternetMaxBandwidthOut"], seen["InternetMaxBandwidthIn"], seen["InternetChargeType"]) == (20, 20, "PayByBandwidth")
    assert seen["PublicIpAddress"]["IpAddress"] == []
    cloud.call("ModifyInstanceNetworkSpec", InstanceId=id, InternetMaxBandwidthOut=30, AllocatePublicIp=True)
    (address,) = bench.get(id)["PublicIpAddress"]["IpAddress"]
    public = cloud.dataplane.plan.publics[address]
    assert (public.mbps, public.mbps_in) == (30, 30)
    refused(
        cloud, "ModifyInstanceNetworkSpec", "InvalidInternetMaxBandwidthOut.ValueNotSupported", InstanceId=id, InternetMaxBandwidthOut=101
    )
    refused(cloud, "ModifyInstanceNetworkSpec", "InvalidInternetMaxBandwidthIn.ValueNotSupported", InstanceId=id, InternetMaxBandwidthIn=50)
    cloud.call("ModifyInstanceNetworkSpec", InstanceId=id, InternetMaxBandwidthOut=0)
    assert bench.get(id)["PublicIpAddress"]["IpAddress"] == [] and not cloud.dataplane.plan.publics
    assert bench.stored(address, "address") is None


def test_moving_in_the_network(bench: Bench) -> None:
    cloud, id = bench.cloud, bench.create()
    eip = cloud.call("AllocateEipAddress", version="2016-04-28")
    cloud.call("AssociateEipAddress", version="2016-04-28", AllocationId=eip["AllocationId"], InstanceId=id)
    cloud.call("ModifyInstanceVpcAttribute", InstanceId=id, VSwitchId=bench.vswitch, PrivateIpAddress="10.1.0.99")
    assert bench.get(id)["VpcAttributes"]["PrivateIpAddress"]["IpAddress"] == ["10.1.0.99"]
    assert cloud.dataplane.plan.publics[eip["EipAddress"]].private == "10.1.0.99"
    assert bench.stored(f"{bench.vswitch}/10.1.0.1", "address") is None
    near = cloud.call("CreateVSwitch", version="2016-04-28", VpcId=bench.vpc, CidrBlock="10.3.0.0/24", ZoneId=f"{REGION}a")["VSwitchId"]
    cloud.call("ModifyInstanceVpcAttribute", InstanceId=id, VSwitchId=near)
    assert cloud.dataplane.plan.hosts[id].port.subnet == near
    refused(cloud, "ModifyInstanceVpcAttribute", "InvalidParameter.Mismatch", InstanceId=id, VSwitchId=bench.other)
    refused(cloud, "ModifyInstanceVpcAttribute", "InvalidVSwitchId.NotFound", 404, InstanceId=id, VSwitchId="vsw-no")
    vpc = cloud.call("CreateVpc", version="2016-04-28", CidrBlock="172.16.0.0/12")["VpcId"]
    far = cloud.call("CreateVSwitch", version="2016-04-28", VpcId=vpc, CidrBlock="172.16.0.0/24", ZoneId=f"{REGION}a")["VSwitchId"]
    refused(cloud, "ModifyInstanceVpcAttribute", "InvalidParameter.Mismatch", InstanceId=id, VSwitchId=far)
    refused(cloud, "ModifyInstanceVpcAttribute", "MissingParameter", InstanceId=id, VSwitchId=far, VpcId=vpc)
    group = make_group(cloud, vpc, "sg-far")
    cloud.call("ModifyInstanceVpcAttribute", InstanceId=id, VSwitchId=far, VpcId=vpc, SecurityGroupId=[group])
    assert bench.get(id)["VpcAttributes"]["VpcId"] == vpc and cloud.dataplane.plan.publics[eip["EipAddress"]].network == vpc
    refused(cloud, "ModifyInstanceVpcAttribute", "IncorrectInstanceStatus", 403, InstanceId=bench.run(), VSwitchId=near)


def test_groups_joined_and_left(bench: Bench) -> None:
    cloud, id = bench.cloud, bench.run()
    two = make_group(cloud, bench.vpc, "sg-two")
    refused(cloud, "JoinSecurityGroup", "InvalidInstanceId.AlreadyExists", 403, InstanceId=id, SecurityGroupId=bench.group)
    refused(cloud, "LeaveSecurityGroup", "InstanceLastSecurityGroup", 403, InstanceId=id, SecurityGroupId=bench.group)
    refused(cloud, "LeaveSecurityGroup", "InstanceNotInSecurityGroup", 403, InstanceId=id, SecurityGroupId=two)
    cloud.call("JoinSecurityGroup", InstanceId=id, SecurityGroupId=two)
    assert cloud.dataplane.plan.hosts[id].port.groups == (bench.group, two)
    eni = bench.stored(id)["NetworkInterfaceId"]
    cloud.call("LeaveSecurityGroup", NetworkInterfaceId=eni, SecurityGroupId=bench.group)
    assert cloud.dataplane.plan.hosts[id].port.groups == (two,)
    refused(cloud, "JoinSecurityGroup", "InvalidSecurityGroupId.NotFound", 404, InstanceId=id, SecurityGroupId="sg-no")
    refused(cloud, "JoinSecurityGroup", "InvalidInstanceId.NotFound", 404, InstanceId="i-no", SecurityGroupId=two)
    refused(cloud, "JoinSecurityGroup", "InvalidInstanceId.NotFound", 404, NetworkInterfaceId="eni-no", SecurityGroupId=two)
    refused(cloud, "JoinSecurityGroup", "MissingParameter", SecurityGroupId=two)
    refused(cloud, "JoinSecurityGroup", "InvalidParam.Conflict", SecurityGroupId=two, InstanceId=id, NetworkInterfaceId=eni)
    for n in range(4):
        cloud.call("JoinSecurityGroup", InstanceId=id, SecurityGroupId=make_group(cloud, bench.vpc, f"sg-{n}"))
    refused(cloud, "JoinSecurityGroup", "InstanceSecurityGroupLimitExceeded", InstanceId=id, SecurityGroupId=bench.group)


def test_another_system_disk(bench: Bench) -> None:
    cloud, id = bench.cloud, bench.run(Password="Planted-Secret1", Tag=[{"Key": "a", "Value": "b"}])
    refused(cloud, "ReplaceSystemDisk", "IncorrectInstanceStatus", 403, InstanceId=id, ImageId=IMAGE)
    cloud.call("StopInstance", InstanceId=id)
    bench.wait(id, "Stopped")
    (old,) = cloud.call("DescribeDisks", InstanceId=id)["Disks"]["Disk"]
    new = "ubuntu_22_04_x64_20G_alibase_20260119.vhd"
    given = {"InstanceId": id, "ImageId": new, "SystemDisk.Size": 60, "KeyPairName": make_key(cloud)}
    disk = cloud.call("ReplaceSystemDisk", **given)["DiskId"]
    assert id not in cloud.dataplane.states or cloud.dataplane.states[id] == "stopped"  # its disk was thrown away
    seen = bench.wait(id, "Stopped")
    assert seen["ImageId"] == new and seen["KeyPairName"] == "pair" and "Ubuntu" in seen["OSName"]
    (now,) = cloud.call("DescribeDisks", InstanceId=id)["Disks"]["Disk"]
    assert (now["DiskId"], now["Size"], now["ImageId"], now["Device"]) == (disk, 60, new, "/dev/xvda") and disk != old["DiskId"]
    assert now["Tags"] == old["Tags"]
    cloud.call("StartInstance", InstanceId=id)
    bench.wait(id, "Running")
    refused(cloud, "ReplaceSystemDisk", "InvalidInstanceId.NotFound", 404, InstanceId="i-no", ImageId=new)
    stopped = bench.create()
    refused(cloud, "ReplaceSystemDisk", "InvalidImageId.NotFound", 404, InstanceId=stopped, ImageId="m-no")
    refused(cloud, "ReplaceSystemDisk", "MissingParameter", InstanceId=stopped)


def test_maintenance(bench: Bench) -> None:
    cloud, id = bench.cloud, bench.create()

    def read() -> dict[str, object]:
        rows = cloud.call("DescribeInstanceMaintenanceAttributes", InstanceId=[id])["MaintenanceAttributes"]["MaintenanceAttribute"]
        assert len(rows) == 1 and rows[0]["InstanceId"] == id
        return rows[0]

    assert read()["MaintenanceWindows"] == {"MaintenanceWindow": []} and read()["NotifyOnMaintenance"] is False
    window = {"StartTime": "02:00:00", "EndTime": "05:00:00"}
    change = {"InstanceId": [id], "MaintenanceWindow": [window], "ActionOnMaintenance": "Stop", "NotifyOnMaintenance": True}
    cloud.call("ModifyInstanceMaintenanceAttributes", **change)
    assert read()["MaintenanceWindows"] == {"MaintenanceWindow": [window]} and read()["ActionOnMaintenance"]["Value"] == "Stop"  # type: ignore[index]
    refused(cloud, "ModifyInstanceMaintenanceAttributes", "InvalidParameter", InstanceId=[id], ActionOnMaintenance="Explode")
    bad = [{"StartTime": "25:00:00", "EndTime": "05:00:00"}]
    refused(cloud, "ModifyInstanceMaintenanceAttributes", "InvalidMaintenanceWindow.Malformed", InstanceId=[id], MaintenanceWindow=bad)
    refused(cloud, "ModifyInstanceMaintenanceAttributes", "InvalidInstanceId.NotFound", 404, InstanceId=["i-no"])


def test_pools_metadata_and_placement(bench: Bench) -> None:
    cloud, id = bench.cloud, bench.create()

    def pool() -> str:
        rows = cloud.call("DescribeInstanceAttachmentAttributes", InstanceIds=f'["{id}"]')["Instances"]["Instance"]
        assert rows[0]["InstanceId"] == id and rows[0]["PrivatePoolOptionsId"] == ""
        return str(rows[0]["PrivatePoolOptionsMatchCriteria"])

    assert pool() == "Open"
    cloud.call("ModifyInstanceAttachmentAttributes", InstanceId=id, PrivatePoolOptions={"MatchCriteria": "None"})
    assert pool() == "None"
    refused(cloud, "ModifyInstanceAttachmentAttributes", "MissingParameter", InstanceId=id)
    target = {"MatchCriteria": "Target", "Id": "eap-1"}
    refused(
        cloud, "ModifyInstanceAttachmentAttributes", "InvalidPrivatePoolOptions.NotFound", 404, InstanceId=id, PrivatePoolOptions=target
    )
    cloud.call("ModifyInstanceMetadataOptions", InstanceId=id, HttpEndpoint="enabled", HttpTokens="required")
    assert bench.get(id)["MetadataOptions"]["HttpTokens"] == "required"
    assert cloud.call("DescribeInstances", HttpTokens="required")["TotalCount"] == 1
    refused(cloud, "ModifyInstanceMetadataOptions", "InvalidHttpTokens.NotSupported", InstanceId=id, HttpEndpoint="enabled", HttpTokens="x")
    refused(cloud, "ModifyInstanceDeployment", "InvalidDeploymentSetId.NotFound", 404, InstanceId=id, DeploymentSetId="ds-1")
    cloud.call("ModifyInstanceDeployment", InstanceId=id)


def test_roles(bench: Bench) -> None:
    cloud, id, other = bench.cloud, bench.create(), bench.create()
    both = f'["{id}","{other}"]'
    rows = cloud.call("DescribeInstanceRamRole", InstanceIds=both)["InstanceRamRoleSets"]["InstanceRamRoleSet"]
    assert {(r["InstanceId"], r["RamRoleName"]) for r in rows} == {(id, ""), (other, "")}
    refused(cloud, "AttachInstanceRamRole", "InvalidRamRole.NotFound", 404, InstanceIds=both, RamRoleName="app")
    make_role(cloud, "app")
    make_role(cloud, "other", "fc.aliyuncs.com")
    refused(cloud, "AttachInstanceRamRole", "InvalidRamRole.NotEcsRole", InstanceIds=both, RamRoleName="other")
    done = cloud.call("AttachInstanceRamRole", InstanceIds=f'["{id}"]', RamRoleName="app")
    assert done["FailCount"] == 0 and bench.stored(id)["RamRoleName"] == "app"
    assert cloud.call("AttachInstanceRamRole", InstanceIds=both, RamRoleName="app")["FailCount"] == 1
    assert cloud.call("DescribeInstanceRamRole", RamRoleName="app")["TotalCount"] == 2
    assert cloud.call("DetachInstanceRamRole", InstanceIds=both, RamRoleName="other")["FailCount"] == 2
    assert cloud.call("DetachInstanceRamRole", InstanceIds=both)["FailCount"] == 0
    assert cloud.call("DescribeInstanceRamRole")["TotalCount"] == 0
    refused(cloud, "DetachInstanceRamRole", "InvalidInstanceId.NotFound", 404, InstanceIds='["i-no"]')


def test_interfaces(bench: Bench) -> None:
    cloud, id = bench.cloud, bench.run(InstanceType="ecs.g6.large", Tag=[{"Key": "a", "Value": "b"}])
    eni = bench.stored(id)["NetworkInterfaceId"]
    (row,) = cloud.call("DescribeNetworkInterfaces", NetworkInterfaceId=[eni])["NetworkInterfaceSets"]["NetworkInterfaceSet"]
    assert (row["InstanceId"], row["VSwitchId"], row["Type"], row["Status"]) == (id, bench.vswitch, "Primary", "InUse")
    assert row["Attachment"]["NetworkCardIndex"] == 0 and row["PrivateIpSets"]["PrivateIpSet"][0]["Primary"] is True
    assert row["Tags"]["Tag"] == [{"TagKey": "a", "TagValue": "b"}]
    given = cloud.call("AssignPrivateIpAddresses", NetworkInterfaceId=eni, SecondaryPrivateIpAddressCount=2)
    assert given["AssignedPrivateIpAddressesSet"]["PrivateIpSet"]["PrivateIpAddress"] == ["10.1.0.2", "10.1.0.3"]
    cloud.call("AssignPrivateIpAddresses", NetworkInterfaceId=eni, PrivateIpAddress=["10.1.0.77"])
    assert cloud.dataplane.plan.hosts[id].port.secondary == ("10.1.0.2", "10.1.0.3", "10.1.0.77")
    assert cloud.call("DescribeNetworkInterfaces", PrivateIpAddress=["10.1.0.77"])["TotalCount"] == 1
    assert cloud.call("DescribeNetworkInterfaces", InstanceId=id, VpcId="vpc-no")["TotalCount"] == 0
    refused(cloud, "AssignPrivateIpAddresses", "MissingParameter", NetworkInterfaceId=eni)
    refused(cloud, "AssignPrivateIpAddresses", "InvalidPrivateIpAddress.Duplicated", NetworkInterfaceId=eni, PrivateIpAddress=["10.1.0.77"])
    many = {"NetworkInterfaceId": eni, "SecondaryPrivateIpAddressCount": 9}
    refused(cloud, "AssignPrivateIpAddresses", "InvalidOperation.Ipv4CountExceeded", 403, **many)
    refused(cloud, "AssignPrivateIpAddresses", "InvalidEcsId.NotFound", 404, NetworkInterfaceId="eni-no", PrivateIpAddress=["10.1.0.8"])
    cloud.call("UnassignPrivateIpAddresses", NetworkInterfaceId=eni, PrivateIpAddress=["10.1.0.2", "10.1.0.77"])
    assert cloud.dataplane.plan.hosts[id].port.secondary == ("10.1.0.3",)
    refused(cloud, "UnassignPrivateIpAddresses", "InvalidIp.IpUnassigned", NetworkInterfaceId=eni, PrivateIpAddress=["10.1.0.1"])
    refused(cloud, "UnassignPrivateIpAddresses", "MissingParameter", NetworkInterfaceId=eni)
    for action in ("AssignIpv6Addresses", "UnassignIpv6Addresses"):
        refused(cloud, action, "InvalidOperation.Ipv6NotSupported", NetworkInterfaceId=eni)


def test_tags(bench: Bench) -> None:
    cloud, id = bench.cloud, bench.create()
    other, key = bench.create(), make_key(cloud)
    cloud.call("TagResources", ResourceType="instance", ResourceId=[id, other], Tag=[{"Key": "env", "Value": "x"}])
    cloud.call("AddTags", ResourceType="keypair", ResourceId=key, Tag=[{"Key": "env", "Value": "y"}])
    cloud.call("TagResources", ResourceType="securitygroup", ResourceId=[bench.group], Tag=[{"Key": "env", "Value": "x"}])
    rows = cloud.call("ListTagResources", ResourceType="instance", ResourceId=[id])["TagResources"]["TagResource"]
    assert rows == [{"ResourceId": id, "ResourceType": "instance", "TagKey": "env", "TagValue": "x"}]
    rows = cloud.call("ListTagResources", ResourceType="keypair", Tag=[{"Key": "env"}])["TagResources"]["TagResource"]
    assert [r["ResourceId"] for r in rows] == [key]
    tags = cloud.call("DescribeTags", ResourceType="image", ResourceId=IMAGE)
    assert tags["Tags"] == {"Tag": []} and tags["TotalCount"] == 0
    found = {t["TagValue"]: t["ResourceTypeCount"] for t in cloud.call("DescribeTags")["Tags"]["Tag"]}
    assert (found["x"]["Instance"], found["x"]["Securitygroup"], found["y"]["KeyPair"], found["y"]["Disk"]) == (2, 1, 1, 0)
    cloud.call("UntagResources", ResourceType="instance", ResourceId=[id], TagKey=["env"])
    assert bench.get(id)["Tags"] == {"Tag": []} and bench.get(other)["Tags"]["Tag"]
    cloud.call("RemoveTags", ResourceType="instance", ResourceId=other, Tag=[{"Key": "env", "Value": "other"}])
    assert bench.get(other)["Tags"]["Tag"]
    cloud.call("UntagResources", ResourceType="instance", ResourceId=[other], All=True)
    assert cloud.call("ListTagResources", ResourceType="instance", ResourceId=[id, other])["TagResources"] == {"TagResource": []}
    refused(cloud, "UntagResources", "MissingParameter", ResourceType="instance", ResourceId=[id])
    tag = [{"Key": "k", "Value": "v"}]
    refused(cloud, "TagResources", "InvalidResourceId.NotFound", 404, ResourceType="instance", ResourceId=["i-no"], Tag=tag)
    refused(cloud, "TagResources", "InvalidResourceId.NotFound", 404, ResourceType="ddh", ResourceId=["dh-1"], Tag=tag)
    refused(cloud, "TagResources", "InvalidResourceType.NotSupported", ResourceType="cat", ResourceId=[id], Tag=tag)
    refused(cloud, "TagResources", "MissingParameter", ResourceType="instance", ResourceId=[id])
    refused(cloud, "TagResources", "InvalidTagKey.Malformed", ResourceType="instance", ResourceId=[id], Tag=[{"Key": "acs:x"}])
    cloud.call("TagResources", ResourceType="instance", ResourceId=[id], Tag=[{"Key": f"k{n}", "Value": "v"} for n in range(20)])
    refused(cloud, "TagResources", "QuotaExceed.Tags", 403, ResourceType="instance", ResourceId=[id], Tag=[{"Key": "one-more"}])


def test_many_tags_are_paged(bench: Bench) -> None:
    cloud = bench.cloud
    ids = [bench.create(Tag=[{"Key": f"k{n}", "Value": "v"} for n in range(20)]) for _ in range(3)]
    first = cloud.call("ListTagResources", ResourceType="instance", ResourceId=ids)
    second = cloud.call("ListTagResources", ResourceType="instance", ResourceId=ids, NextToken=first["NextToken"])
    assert len(first["TagResources"]["TagResource"]) == 50 and len(second["TagResources"]["TagResource"]) == 10
    assert second["NextToken"] == ""


def test_resource_groups(bench: Bench) -> None:
    cloud, id = bench.cloud, bench.create()
    cloud.call("JoinResourceGroup", ResourceType="instance", ResourceId=id, ResourceGroupId="rg-1")
    assert bench.get(id)["ResourceGroupId"] == "rg-1"
    assert cloud.call("DescribeInstances", ResourceGroupId="rg-1")["TotalCount"] == 1
    refused(cloud, "JoinResourceGroup", "InvalidResourceId.NotFound", 404, ResourceType="disk", ResourceId="d-no", ResourceGroupId="rg-1")
