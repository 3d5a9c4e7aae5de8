"""Instances made, read, started, stopped, deleted."""

from __future__ import annotations

import subprocess
from base64 import b64decode
from dataclasses import replace

import pytest

from tests.localcloud import LocalCloud, Refused
from tests.unit.ecs_bench import IMAGE, TYPE, Bench, make_bench, make_group, make_key, refused, until

PASSWORD = "Planted-Secret1"


@pytest.fixture
def bench(cloud: LocalCloud) -> Bench:
    return make_bench(cloud)


def test_run_instances_makes_a_running_host(bench: Bench) -> None:
    id = bench.run(InstanceName="web", HostName="web-1", Description="front", Tag=[{"Key": "a", "Value": "b"}])
    seen = bench.get(id)
    assert (seen["Status"], seen["InstanceName"], seen["HostName"], seen["Description"]) == ("Running", "web", "web-1", "front")
    assert (seen["Cpu"], seen["Memory"], seen["ZoneId"], seen["RegionId"]) == (1, 1024, "ap-southeast-1a", "ap-southeast-1")
    assert seen["VpcAttributes"]["PrivateIpAddress"]["IpAddress"] == ["10.1.0.1"]
    assert seen["SecurityGroupIds"]["SecurityGroupId"] == [bench.group]
    assert seen["Tags"]["Tag"] == [{"TagKey": "a", "TagValue": "b"}]
    assert seen["OSType"] == "linux" and seen["StartTime"] and seen["StoppedMode"] == "Not-applicable"
    for empty in ("AutoReleaseTime", "HpcClusterId", "DeploymentSetId"):
        assert seen[empty] == ""
    assert seen["DedicatedHostAttribute"]["DedicatedHostId"] == ""
    interface = seen["NetworkInterfaces"]["NetworkInterface"][0]
    assert interface["NetworkInterfaceId"].startswith("eni-") and interface["MacAddress"].startswith("00:16:3e:")
    host = bench.cloud.dataplane.plan.hosts[id]
    assert (host.hostname, host.image, host.cpus, host.memory_mib, host.running) == ("web-1", "base", 1, 1024, True)
    assert host.port.address == "10.1.0.1" and host.port.groups == (bench.group,) and host.port.subnet == bench.vswitch
    assert host.nameservers == ("100.100.2.136", "100.100.2.138") and host.public_keys == () and host.password_hash == ""


def test_names_by_default_and_in_sequence(bench: Bench) -> None:
    id = bench.run()
    assert bench.get(id)["InstanceName"] == id
    assert bench.get(id)["HostName"] == f"iZ{id[2:]}Z"
    base = {"ImageId": IMAGE, "InstanceType": TYPE, "VSwitchId": bench.vswitch, "SecurityGroupId": bench.group}

    def names(**params: object) -> list[tuple[str, str]]:
        ids = bench.cloud.call("RunInstances", **base, **params)["InstanceIdSets"]["InstanceIdSet"]
        return [(bench.get(i)["InstanceName"], bench.get(i)["HostName"]) for i in ids]

    assert names(Amount=2, InstanceName="w[9,3]x", HostName="h[1,]") == [("w009x", "h000001"), ("w010x", "h000002")]
    assert names(Amount=2, InstanceName="ww", HostName="hh", UniqueSuffix="true") == [("ww001", "hh001"), ("ww002", "hh002")]
    assert names(Amount=2, InstanceName="ww", HostNames=["one", "two"]) == [("ww", "one"), ("ww", "two")]
    ids = bench.cloud.call("RunInstances", HostName="k-${instance_id}", **base)["InstanceIdSets"]["InstanceIdSet"]
    assert bench.get(ids[0])["HostName"] == f"k-{ids[0]}"


def test_amounts(bench: Bench) -> None:
    cloud = bench.cloud
    base = {"ImageId": IMAGE, "InstanceType": TYPE, "SecurityGroupId": bench.group}
    small = cloud.call("CreateVSwitch", version="2016-04-28", VpcId=bench.vpc, CidrBlock="10.3.0.0/29", ZoneId="ap-southeast-1a")[
        "VSwitchId"
    ]
    refused(cloud, "RunInstances", "InvalidVSwitchId.IpNotEnough", Amount=5, VSwitchId=small, **base)
    refused(cloud, "RunInstances", "InvalidMaxAmount.Malformed", Amount=101, VSwitchId=small, **base)
    refused(cloud, "RunInstances", "InvalidMaxAmount.Malformed", Amount=0, VSwitchId=small, **base)
    refused(cloud, "RunInstances", "InvalidMinAmount.Malformed", Amount=2, MinAmount=3, VSwitchId=small, **base)
    made = cloud.call("RunInstances", Amount=5, MinAmount=2, VSwitchId=small, **base)["InstanceIdSets"]["InstanceIdSet"]
    assert len(made) == 4
    addresses = {bench.get(i)["VpcAttributes"]["PrivateIpAddress"]["IpAddress"][0] for i in made}
    macs = {bench.get(i)["NetworkInterfaces"]["NetworkInterface"][0]["MacAddress"] for i in made}
    assert addresses == {"10.3.0.1", "10.3.0.2", "10.3.0.3", "10.3.0.4"} and len(macs) == 4
    made = cloud.call("RunInstances", Amount=2, PrivateIpAddress="10.1.0.50", VSwitchId=bench.vswitch, **base)
    found = cloud.call("DescribeInstances", PrivateIpAddresses='["10.1.0.50","10.1.0.51"]')
    assert {i["InstanceId"] for i in found["Instances"]["Instance"]} == set(made["InstanceIdSets"]["InstanceIdSet"])


def test_run_instances_refuses(bench: Bench) -> None:
    cloud = bench.cloud
    base = {"ImageId": IMAGE, "InstanceType": TYPE, "VSwitchId": bench.vswitch, "SecurityGroupId": bench.group}

    def no(code: str, status: int = 400, without: str = "", **params: object) -> None:
        given = {k: v for k, v in {**base, **params}.items() if k != without}
        refused(cloud, "RunInstances", code, status, **given)

    no("MissingParameter", without="ImageId")
    no("MissingParameter", without="InstanceType")
    no("MissingParameter", without="VSwitchId")  # there is no default VPC
    no("MissingParameter", without="SecurityGroupId")
    no("InvalidImageId.NotFound", 404, ImageId="m-nothing")
    no("InvalidInstanceType.ValueNotSupported", InstanceType="ecs.none.huge")
    no("InvalidVSwitchId.NotFound", 404, VSwitchId="vsw-nothing")
    no("InvalidParameter.Mismatch", ZoneId="ap-southeast-1b")
    no("InvalidSecurityGroupId.NotFound", 404, SecurityGroupId="sg-nothing")
    other = cloud.call("CreateVpc", version="2016-04-28", CidrBlock="172.16.0.0/12")["VpcId"]
    no("InvalidParameter.Mismatch", SecurityGroupId=make_group(cloud, other, "sg-far"))
    no("InvalidParameter.Conflict", SecurityGroupIds=[bench.group])
    no("InvalidPrivateIpAddress.Malformed", PrivateIpAddress="10.9.9.9")
    no("InvalidPrivateIpAddress.Malformed", PrivateIpAddress="10.1.0.253")
    no("InvalidPrivateIpAddress.Malformed", PrivateIpAddress="ten")
    no("InvalidInstanceName.Malformed", InstanceName="http://x")
    no("InvalidInstanceName.Malformed", InstanceName="1x")
    no("InvalidInstanceName.Malformed", InstanceName="x" * 129)
    no("InvalidHostName.Malformed", HostName="-x")
    no("InvalidHostName.Malformed", HostName="a..b")
    no("InvalidDescription.Malformed", Description="https://x")
    no("InvalidKeyPairName.NotFound", 404, KeyPairName="none")
    no("InvalidRamRole.NotFound", 404, RamRoleName="none")
    no("InvalidUserData.Base64FormatInvalid", UserData="%%%")
    no("InvalidUserData.SizeExceeded", UserData="AAAA" * 11000)
    no("InvalidInternetMaxBandwidthOut.ValueNotSupported", InternetMaxBandwidthOut=101)
    no("InvalidPasswordParam.Mismatch", Password=PASSWORD, PasswordInherit="true")
    no("MissingParameter", InstanceChargeType="PrePaid")
    no("InvalidAutoReleaseTime.Malformed", AutoReleaseTime="soon")
    no("InvalidAutoReleaseTime.Malformed", AutoReleaseTime="2020-01-01T00:00:00Z")
    no("InvalidTagKey.Malformed", Tag=[{"Key": "aliyun", "Value": "x"}])
    no("InvalidLaunchTemplate.NotFound", 404, LaunchTemplateId="lt-1")
    no("InvalidDeploymentSetId.NotFound", 404, DeploymentSetId="ds-1")
    no("InvalidParameter.Ipv6NotSupported", Ipv6AddressCount=1)
    no("InvalidParameter.Conflict", NetworkInterface=[{"VSwitchId": bench.vswitch}])
    no("InvalidSystemDiskCategory.ValueNotSupported", **{"SystemDisk.Category": "floppy"})
    no("InvalidSystemDiskSize.LessThanImageSize", **{"SystemDisk.Size": 10})
    no("MissingParameter", DataDisk=[{"Category": "cloud_essd"}])
    no("InvalidDataDiskSize.ValueNotSupported", DataDisk=[{"Category": "cloud_ssd", "Size": 10}])
    no("InvalidDevice.InUse", 403, DataDisk=[{"Size": 20, "Device": "/dev/xvdc"}, {"Size": 20, "Device": "/dev/xvdc"}])
    no("InvalidSnapshotId.NotFound", 404, DataDisk=[{"SnapshotId": "s-none"}])
    no("InstanceDiskNumLimitExceed", 403, DataDisk=[{"Size": 20}] * 17)
    bench.run(PrivateIpAddress="10.1.0.9")
    no("InvalidPrivateIpAddress.Duplicated", PrivateIpAddress="10.1.0.9")


@pytest.mark.parametrize("bad", ["Short1!", "alllowercase", "ALLUPPER1234", "x" * 31 + "A1", "Abc 12345", "Abcü12345"])
def test_weak_passwords_are_refused(bench: Bench, bad: str) -> None:
    base = {"ImageId": IMAGE, "InstanceType": TYPE, "VSwitchId": bench.vswitch, "SecurityGroupId": bench.group}
    refused(bench.cloud, "RunInstances", "InvalidPassword.Malformed", Password=bad, **base)


def test_a_password_is_kept_as_a_hash_only(bench: Bench) -> None:
    id = bench.run(Password=PASSWORD)
    stored = bench.stored(id)["PasswordHash"]
    _, method, salt, _ = stored.split("$")
    again = subprocess.run(["openssl", "passwd", f"-{method}", "-salt", salt, "-stdin"], input=PASSWORD, capture_output=True, text=True)
    assert method == "6" and again.stdout.strip() == stored == bench.cloud.dataplane.plan.hosts[id].password_hash
    home = bench.cloud.runtime.site.home
    assert not any(PASSWORD.encode() in f.read_bytes() for f in home.rglob("*") if f.is_file())


def test_a_key_pair_turns_passwords_off(bench: Bench) -> None:
    id = bench.run(Password=PASSWORD, KeyPairName=make_key(bench.cloud))
    host = bench.cloud.dataplane.plan.hosts[id]
    assert host.public_keys == ("ssh-ed25519 AAAA me",) and host.password_hash == ""
    assert bench.get(id)["KeyPairName"] == "pair"


def test_a_password_is_inherited_from_the_image(bench: Bench) -> None:
    image = {"ImageName": "own", "Layer": "own-layer", "Status": "Available", "PasswordHash": "$6$s$h", "Size": 40, "CreatedAt": 1}
    with bench.cloud.store.write() as tx:
        tx.put("image", "m-own", "ap-southeast-1", {**image, "ImageFamily": "fam"})
        tx.put("image", "m-new", "ap-southeast-1", {**image, "Status": "Creating"})
    id = bench.run(ImageId="m-own", PasswordInherit="true")
    assert bench.cloud.dataplane.plan.hosts[id].password_hash == "$6$s$h"
    assert bench.cloud.dataplane.plan.hosts[id].image == "own-layer"
    assert bench.get(bench.run(ImageId=None, ImageFamily="fam"))["ImageId"] == "m-own"
    base = {"InstanceType": TYPE, "VSwitchId": bench.vswitch, "SecurityGroupId": bench.group}
    refused(bench.cloud, "RunInstances", "OperationDenied.ImageNotValid", 403, ImageId="m-new", **base)


def test_a_public_address_comes_with_bandwidth(bench: Bench) -> None:
    id = bench.run(InternetMaxBandwidthOut=5)
    address = bench.get(id)["PublicIpAddress"]["IpAddress"][0]
    public = bench.cloud.dataplane.plan.publics[address]
    assert (public.private, public.network, public.mbps, public.mbps_in) == ("10.1.0.1", bench.vpc, 5, 10)
    assert bench.get(id)["InternetMaxBandwidthIn"] == 10
    assert bench.get(bench.run())["PublicIpAddress"]["IpAddress"] == []


def test_network_interface_in_place_of_a_vswitch(bench: Bench) -> None:
    interface = {"VSwitchId": bench.vswitch, "SecurityGroupIds": [bench.group], "PrimaryIpAddress": "10.1.0.7", "InstanceType": "Primary"}
    more = {**interface, "SecondaryPrivateIpAddressCount": 2}
    refused(
        bench.cloud, "RunInstances", "InvalidOperation.Ipv4CountExceeded", 403, ImageId=IMAGE, InstanceType=TYPE, NetworkInterface=[more]
    )
    id = bench.run(VSwitchId=None, SecurityGroupId=None, InstanceType="ecs.g6.large", NetworkInterface=[more])
    sets = bench.get(id)["NetworkInterfaces"]["NetworkInterface"][0]["PrivateIpSets"]["PrivateIpSet"]
    assert sets[0]["PrivateIpAddress"] == "10.1.0.7" and [s["Primary"] for s in sets] == [True, False, False]
    assert bench.cloud.dataplane.plan.hosts[id].port.secondary == ("10.1.0.1", "10.1.0.2")
    base = {"ImageId": IMAGE, "InstanceType": TYPE}
    second = {**interface, "InstanceType": "Secondary"}
    refused(bench.cloud, "RunInstances", "InvalidParameter.NetworkInterface", NetworkInterface=[interface, second], **base)
    refused(bench.cloud, "RunInstances", "InvalidParameter.NetworkInterface", NetworkInterface=[second], **base)


def test_the_default_vswitch_is_used_when_there_is_one(bench: Bench) -> None:
    with bench.cloud.store.write() as tx:
        tx.change(tx.get("vswitch", bench.other), IsDefault=True)
    assert bench.get(bench.run(VSwitchId=None))["VpcAttributes"]["VSwitchId"] == bench.other


def test_create_instance_stays_stopped(bench: Bench) -> None:
    id = bench.create(InternetMaxBandwidthOut=5)
    seen = bench.get(id)
    assert seen["Status"] == "Stopped" and seen["PublicIpAddress"]["IpAddress"] == []
    assert seen["VpcAttributes"]["PrivateIpAddress"]["IpAddress"] == ["10.1.0.1"]
    assert bench.cloud.dataplane.plan.hosts[id].running is False
    address = bench.cloud.call("AllocatePublicIpAddress", InstanceId=id)["IpAddress"]
    assert bench.get(id)["PublicIpAddress"]["IpAddress"] == [address]
    refused(bench.cloud, "AllocatePublicIpAddress", "AllocatedAlready", 403, InstanceId=id)
    refused(bench.cloud, "AllocatePublicIpAddress", "InvalidOperation.NoBandwidth", 403, InstanceId=bench.create())
    bench.cloud.call("StartInstance", InstanceId=id)
    assert bench.wait(id, "Running")["StartTime"]


def test_client_token_and_dry_run(bench: Bench) -> None:
    assert bench.run(ClientToken="t1") == bench.run(ClientToken="t1")
    base = {"ImageId": IMAGE, "InstanceType": TYPE, "VSwitchId": bench.vswitch, "SecurityGroupId": bench.group}
    refused(bench.cloud, "RunInstances", "IdempotentParameterMismatch", ClientToken="t1", Amount=2, **base)
    refused(bench.cloud, "RunInstances", "DryRunOperation", DryRun="true", **base)
    bench.cloud.dataplane.fail = "no room"
    refused(bench.cloud, "RunInstances", "OperationFailed.NotApplied", **base)


def test_power(bench: Bench) -> None:
    cloud, id = bench.cloud, bench.run()
    refused(cloud, "StartInstance", "IncorrectInstanceStatus", 403, InstanceId=id)
    cloud.call("StopInstance", InstanceId=id, ForceStop="false", StoppedMode="StopCharging")
    assert bench.wait(id, "Stopped")["StoppedMode"] == "StopCharging"
    assert cloud.dataplane.states[id] == "stopped"
    refused(cloud, "StopInstance", "IncorrectInstanceStatus", 403, InstanceId=id)
    refused(cloud, "RebootInstance", "IncorrectInstanceStatus", 403, InstanceId=id)
    cloud.call("StartInstance", InstanceId=id)
    bench.wait(id, "Running")
    cloud.call("RebootInstance", InstanceId=id, ForceStop="true")
    bench.wait(id, "Running")
    assert until(lambda: bench.stored(id)["Rebooting"], lambda r: r is False) is False
    for action in ("StartInstance", "StopInstance", "RebootInstance", "DeleteInstance"):
        refused(cloud, action, "InvalidInstanceId.NotFound", 404, InstanceId="i-nothing")
        refused(cloud, action, "MissingParameter")
    refused(cloud, "StopInstance", "InvalidParameter.StoppedMode", InstanceId=id, StoppedMode="x")


def test_power_of_several(bench: Bench) -> None:
    cloud, running, stopped = bench.cloud, bench.run(), bench.create()
    refused(cloud, "StartInstances", "IncorrectInstanceStatus", 403, InstanceId=[stopped, running])
    rows = cloud.call("StartInstances", InstanceId=[stopped, running, "i-none"], BatchOptimization="SuccessFirst")
    found = {r["InstanceId"]: r for r in rows["InstanceResponses"]["InstanceResponse"]}
    assert found[stopped]["PreviousStatus"] == "Stopped" and found[stopped]["CurrentStatus"] == "Starting"
    assert found[running]["Code"] == "IncorrectInstanceStatus" and found["i-none"]["Code"] == "InvalidInstanceId.NotFound"
    bench.wait(stopped, "Running")
    cloud.call("RebootInstances", InstanceId=[stopped, running])
    bench.wait(stopped, "Running")
    bench.wait(running, "Running")
    cloud.call("StopInstances", InstanceId=[stopped, running], ForceStop="true")
    bench.wait(stopped, "Stopped")
    cloud.call("DeleteInstances", InstanceId=[stopped, running], Force="true")
    bench.wait(stopped, "")
    bench.wait(running, "")
    refused(cloud, "DeleteInstances", "MissingParameter")


def test_delete_frees_everything(bench: Bench) -> None:
    cloud = bench.cloud
    before = {k: set(v) for k, v in cloud.store.view().tables.items() if v}
    id = bench.run(InternetMaxBandwidthOut=1, DataDisk=[{"Size": 20}, {"Size": 20, "DeleteWithInstance": "false"}])
    eni = bench.get(id)["NetworkInterfaces"]["NetworkInterface"][0]["NetworkInterfaceId"]
    refused(cloud, "DeleteInstance", "IncorrectInstanceStatus", 403, InstanceId=id)
    cloud.call("ModifyInstanceAttribute", InstanceId=id, DeletionProtection="true")
    refused(cloud, "DeleteInstance", "InvalidOperation.DeletionProtection", 403, InstanceId=id, Force="true")
    cloud.call("ModifyInstanceAttribute", InstanceId=id, DeletionProtection="false")
    cloud.call("DeleteInstance", InstanceId=id, Force="true")
    assert bench.get(id).get("Status", "Stopping") == "Stopping"
    bench.wait(id, "")
    assert id not in cloud.dataplane.states and id not in cloud.dataplane.plan.hosts and not cloud.dataplane.plan.publics
    assert cloud.call("DescribeNetworkInterfaces", NetworkInterfaceId=[eni])["TotalCount"] == 0
    disks = cloud.call("DescribeDisks")["Disks"]["Disk"]
    assert [(d["Status"], d["InstanceId"], d["Device"]) for d in disks] == [("Available", "", "")]
    cloud.call("DeleteDisk", DiskId=disks[0]["DiskId"])
    assert {k: set(v) for k, v in cloud.store.view().tables.items() if v and k != "client_token"} == before


def test_delete_unbinds_an_eip_and_may_be_repeated(bench: Bench) -> None:
    cloud, id = bench.cloud, bench.run()
    eip = cloud.call("AllocateEipAddress", version="2016-04-28", Bandwidth=7)
    cloud.call("AssociateEipAddress", version="2016-04-28", AllocationId=eip["AllocationId"], InstanceId=id)
    shown = bench.get(id)["EipAddress"]
    assert (shown["IpAddress"], shown["AllocationId"], shown["Bandwidth"]) == (eip["EipAddress"], eip["AllocationId"], 7)
    assert cloud.call("DescribeInstances", EipAddresses=f'["{eip["EipAddress"]}"]')["TotalCount"] == 1
    cloud.call("ModifyInstanceNetworkSpec", InstanceId=id, InternetMaxBandwidthOut=5)
    refused(cloud, "AllocatePublicIpAddress", "InvalidInstanceId.AlreadyAssociatedEip", InstanceId=id)
    with cloud.store.write() as tx:  # a machine that takes its time
        tx.change(tx.get("instance", id), Deleting=True, Status="Stopping")
    refused(cloud, "StopInstance", "IncorrectInstanceStatus", 403, InstanceId=id, ForceStop="true")
    cloud.call("DeleteInstance", InstanceId=id)
    bench.wait(id, "")
    assert bench.stored(eip["AllocationId"], "eip")["InstanceId"] == ""


def test_subscriptions_are_not_deleted_before_their_end(bench: Bench) -> None:
    cloud, id = bench.cloud, bench.run(InstanceChargeType="PrePaid", Period=1, AutoRenew="true")
    assert bench.get(id)["ExpiredTime"] < "2099"
    refused(cloud, "DeleteInstance", "ChargeTypeViolation", 403, InstanceId=id, Force="true")
    row = cloud.call("DescribeInstanceAutoRenewAttribute", InstanceId=id)["InstanceRenewAttributes"]["InstanceRenewAttribute"][0]
    assert (row["RenewalStatus"], row["Duration"], row["PeriodUnit"], row["AutoRenewEnabled"]) == ("AutoRenewal", 1, "Month", True)
    cloud.call("ModifyInstanceAutoRenewAttribute", InstanceId=id, RenewalStatus="Normal")
    assert cloud.call("DescribeInstanceAutoRenewAttribute", RenewalStatus="AutoRenewal")["TotalCount"] == 0
    cloud.call("RenewInstance", InstanceId=id, Period=1)
    cloud.call("ModifyInstanceChargeType", InstanceIds=f'["{id}"]', InstanceChargeType="PostPaid")
    assert bench.get(id)["InstanceChargeType"] == "PostPaid"
    cloud.call("DeleteInstance", InstanceId=id, Force="true")
    bench.wait(id, "")


def test_filters_and_pages(bench: Bench) -> None:
    cloud = bench.cloud
    ids = [bench.create(InstanceName=f"web-{n}", Tag=[{"Key": "n", "Value": str(n)}]) for n in range(5)]
    far = bench.create(VSwitchId=bench.other, InstanceName="db", InstanceType="ecs.g6.large")

    def found(**params: object) -> list[str]:
        answer = cloud.call("DescribeInstances", **params)
        rows = [i["InstanceId"] for i in answer["Instances"]["Instance"]]
        assert answer["TotalCount"] == len(rows)
        return sorted(rows)

    assert found(InstanceName="web-*") == sorted(ids) and found(InstanceName="web-1") == [ids[1]] and found(InstanceName="web") == []
    assert found(VSwitchId=bench.other) == found(ZoneId="ap-southeast-1b") == found(InstanceTypeFamily="ecs.g6") == [far]
    assert found(VpcId=bench.vpc) == found(SecurityGroupId=bench.group) == found(Status="Stopped") == sorted([*ids, far])
    assert found(Tag=[{"Key": "n", "Value": "2"}]) == [ids[2]] and found(Tag=[{"Key": "n"}]) == sorted(ids)
    assert found(PrivateIpAddresses='["10.2.0.1"]') == [far] and found(InstanceType="ecs.g6.large") == [far]
    assert found(Status="Running") == found(VpcId="vpc-no") == found(KeyPairName="x") == found(InstanceNetworkType="classic") == []
    assert found(Filter=[{"Key": "CreationStartTime", "Value": "2099-01-01T00:00Z"}]) == []
    assert found(InstanceIds=f'["{ids[0]}","i-no"]') == [ids[0]]
    assert cloud.call("DescribeInstances", RegionId="us-west-1")["TotalCount"] == 0
    pages = [cloud.call("DescribeInstances", PageNumber=n, PageSize=4) for n in (1, 2, 3)]
    assert [len(p["Instances"]["Instance"]) for p in pages] == [4, 2, 0] and pages[2]["TotalCount"] == 6
    token, seen = "", []
    while True:
        answer = cloud.call("DescribeInstances", MaxResults=4, **({"NextToken": token} if token else {}))
        seen += [i["InstanceId"] for i in answer["Instances"]["Instance"]]
        token = answer["NextToken"]
        if not token:
            break
    assert sorted(seen) == sorted([*ids, far])
    refused(cloud, "DescribeInstances", "InvalidParameter", InstanceIds="i-1")
    refused(cloud, "DescribeInstances", "InvalidParameter", PageSize=101)
    refused(cloud, "DescribeInstances", "InvalidParameter.NextToken", NextToken="never")
    refused(cloud, "DescribeInstances", "InvalidFilterKey.NotSupported", Filter=[{"Key": "x", "Value": "2099-01-01T00:00Z"}])


def test_other_readings(bench: Bench) -> None:
    cloud, id = bench.cloud, bench.run(UserData="IyEvYmluL3NoCg==")
    assert cloud.call("DescribeUserData", InstanceId=id)["UserData"] == "IyEvYmluL3NoCg=="
    status = cloud.call("DescribeInstanceStatus", InstanceId=[id])["InstanceStatuses"]["InstanceStatus"]
    assert status == [{"InstanceId": id, "Status": "Running"}]
    one = cloud.call("DescribeInstanceAttribute", InstanceId=id)
    assert one["InstanceId"] == id and one["EnableJumboFrame"] is False and one["IoOptimized"] == "optimized"
    console = cloud.call("GetInstanceConsoleOutput", InstanceId=id)
    assert b64decode(console["ConsoleOutput"]) == b"console of " + id.encode()
    for action in ("DescribeUserData", "DescribeInstanceAttribute", "GetInstanceConsoleOutput"):
        refused(cloud, action, "InvalidInstanceId.NotFound", 404, InstanceId="i-no")
    refused(cloud, "DescribeInstanceStatus", "InvalidInstanceId.NotFound", 404, InstanceId=["i-no"])


def test_automatic_release(bench: Bench) -> None:
    from haechi.cloud.products.ecs.lifetime import release_due

    cloud, id = bench.cloud, bench.run(AutoReleaseTime="2027-06-01T08:05:30Z", DeletionProtection="true")
    assert bench.get(id)["AutoReleaseTime"] == "2027-06-01T08:05Z"
    cloud.call("ModifyInstanceAutoReleaseTime", InstanceId=id)
    assert bench.get(id)["AutoReleaseTime"] == ""
    cloud.call("ModifyInstanceAutoReleaseTime", InstanceId=id, AutoReleaseTime="2027-06-01T08:05:00Z")
    assert release_due(cloud.runtime) == []
    now = cloud.store.now() + 3 * 366 * 24 * 3600
    late = replace(cloud.runtime)
    cloud.store.now = lambda: now
    assert release_due(late) == [id]
    until(lambda: bench.stored(id), lambda i: i is None)


def test_an_instance_that_cannot_start_ends_stopped(bench: Bench) -> None:
    def fail(plan: object, id: str) -> None:
        raise RuntimeError("no space")

    bench.cloud.dataplane.start_host = fail  # type: ignore[method-assign, assignment]
    id = bench.run(wait=False)
    assert bench.wait(id, "Stopped")
    with pytest.raises(Refused, match="InvalidInstanceId"):
        bench.cloud.call("StartInstance", InstanceId="i-other")
