"""How long an instance is kept: charge type, subscription, renewal, automatic release."""

from __future__ import annotations

from typing import Annotated

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, invalid, missing
from haechi.cloud.paging import iso_minute, page
from haechi.cloud.params import Choice, Flag, Id, Number, PageNumber, PageSize, Text
from haechi.cloud.products.ecs import kinds
from haechi.cloud.products.ecs.instances import get_instance, get_settled
from haechi.cloud.products.ecs.listing import parse_time
from haechi.cloud.products.ecs.product import ecs
from haechi.cloud.runtime import Runtime
from haechi.cloud.store import Resource

DAY = 24 * 3600
DAYS = {"Week": 7, "Month": 30, "Year": 365}
FOREVER = "2099-12-31T15:59Z"  # what the vendor says of instances that do not expire
BadTime = "InvalidAutoReleaseTime.Malformed"
PeriodUnit = Annotated[str, Choice(("Week", "Month", "Year"), "InvalidPeriodUnit.ValueNotSupported")]
Period = Annotated[int, Number(1, 60, "InvalidPeriod")]
RenewalStatus = Annotated[str, Choice(("AutoRenewal", "Normal", "NotRenewal"), "InvalidRenewalStatus.ValueNotSupported")]


def period_seconds(period: int, unit: str) -> int:
    return period * DAYS[unit] * DAY


def expiry(instance: Resource) -> str:
    """ExpiredTime as the API writes it."""
    return iso_minute(instance["ExpiredAt"]) if instance["ExpiredAt"] else FOREVER


def release_time(instance: Resource) -> str:
    """AutoReleaseTime as the API writes it; "" when none is set."""
    return iso_minute(instance["AutoReleaseAt"]) if instance["AutoReleaseAt"] else ""


def check_release_time(call: Call, text: str, charge: str) -> float:
    """Epoch seconds of AutoReleaseTime, which must be half an hour to three years ahead."""
    if charge == "PrePaid":
        raise ApiError("ChargeTypeViolation", "The operation is not permitted due to charge type of the instance.", 403)
    at = parse_time("AutoReleaseTime", text, BadTime)
    if not call.now() + 1800 - 60 <= at <= call.now() + 3 * 366 * DAY:
        raise invalid("AutoReleaseTime", "It must be half an hour to three years ahead.", BadTime)
    return at


def release_due(runtime: Runtime) -> list[str]:
    """Delete the instances whose AutoReleaseTime has passed; their ids. To be called every minute or so."""
    now = runtime.store.now()
    due = [i for i in runtime.store.view().find("instance") if i["AutoReleaseAt"] and i["AutoReleaseAt"] <= now and not i["Deleting"]]
    for instance in due:
        with runtime.store.write() as tx:
            current = tx.get("instance", instance.id)
            if current is not None:
                state = "Stopped" if current["Status"] == "Stopped" else "Stopping"
                tx.change(current, Deleting=True, DeletingAt=now, Status=state)
        runtime.machines.wake(instance.id)
    return [i.id for i in due]


@ecs.action("ModifyInstanceAutoReleaseTime", Effect.HOST)
def modify_instance_auto_release_time(call: Call, InstanceId: Id, AutoReleaseTime: Annotated[str, Text(64)] = "") -> Answer:
    """Set when an instance is deleted by itself; without a time it is kept."""
    instance = get_instance(call, InstanceId)
    at = check_release_time(call, AutoReleaseTime, instance["InstanceChargeType"]) if AutoReleaseTime else 0
    call.tx.change(instance, AutoReleaseAt=at)
    return {}


@ecs.action("ModifyInstanceChargeType", Effect.RECORD, idempotent=True, limit="nothing is charged here")
def modify_instance_charge_type(
    call: Call,
    InstanceIds: kinds.Ids20,
    InstanceChargeType: kinds.ChargeType = "PrePaid",
    Period: Period = 0,
    PeriodUnit: PeriodUnit = "Month",
    IncludeDataDisks: Flag = False,
    AutoPay: Flag = True,
    IsDetailFee: Flag = False,
) -> Answer:
    """Change instances between subscription and pay-as-you-go."""
    if InstanceChargeType == "PrePaid" and not Period:
        raise missing("Period")
    for id in InstanceIds:
        instance = get_settled(call, id)
        if InstanceChargeType == "PrePaid" and instance["SpotStrategy"] != "NoSpot":
            raise ApiError("ChargeTypeViolation", "The operation is not permitted due to charge type of the instance.", 403)
        until = call.now() + period_seconds(Period, PeriodUnit) if InstanceChargeType == "PrePaid" else 0
        call.tx.change(instance, InstanceChargeType=InstanceChargeType, ExpiredAt=until, AutoReleaseAt=0)
    fees = [{"InstanceId": id, "Fee": "0", "Currency": "USD"} for id in InstanceIds]
    return {"OrderId": "", "FeeOfInstances": {"FeeOfInstance": fees if IsDetailFee else []}}


@ecs.action("RenewInstance", Effect.RECORD, idempotent=True, limit="nothing is charged here")
def renew_instance(call: Call, InstanceId: Id, Period: Period, PeriodUnit: PeriodUnit = "Month") -> Answer:
    """Extend a subscription."""
    instance = get_instance(call, InstanceId)
    if instance["InstanceChargeType"] != "PrePaid":
        raise ApiError("ChargeTypeViolation", "The operation is not permitted due to charge type of the instance.", 403)
    call.tx.change(instance, ExpiredAt=max(call.now(), instance["ExpiredAt"]) + period_seconds(Period, PeriodUnit))
    return {"OrderId": ""}


@ecs.action("ModifyInstanceAutoRenewAttribute", Effect.RECORD, limit="nothing is charged here")
def modify_instance_auto_renew_attribute(
    call: Call,
    InstanceId: Annotated[str, Text(4096)],
    RenewalStatus: RenewalStatus = "",
    AutoRenew: Flag = False,
    Duration: Annotated[int, Number(1, 60)] = 1,
    PeriodUnit: PeriodUnit = "Month",
) -> Answer:
    """Set whether subscriptions (ids separated by commas) renew themselves."""
    status = RenewalStatus or ("AutoRenewal" if AutoRenew else "Normal")
    for id in [i.strip() for i in InstanceId.split(",")][:100]:
        instance = get_instance(call, id)
        if instance["InstanceChargeType"] != "PrePaid":
            raise ApiError("ChargeTypeViolation", "The operation is not permitted due to charge type of the instance.", 403)
        call.tx.change(instance, RenewalStatus=status, RenewalDuration=Duration if status == "AutoRenewal" else 0, RenewalUnit=PeriodUnit)
    return {}


@ecs.action("DescribeInstanceAutoRenewAttribute", Effect.READ)
def describe_instance_auto_renew_attribute(
    call: Call,
    InstanceId: Annotated[str, Text(4096)] = "",
    RenewalStatus: RenewalStatus = "",
    PageNumber: PageNumber = 1,
    PageSize: PageSize = 50,
) -> Answer:
    """Whether subscriptions renew themselves."""
    if InstanceId:
        found = [get_instance(call, i.strip()) for i in InstanceId.split(",")[:100]]
    else:
        found = [i for i in call.find("instance", InstanceChargeType="PrePaid")]
    found = [i for i in found if not RenewalStatus or i["RenewalStatus"] == RenewalStatus]
    chosen, numbers = page(found, PageNumber, PageSize)
    rows = [
        {
            "InstanceId": i.id,
            "AutoRenewEnabled": i["RenewalStatus"] == "AutoRenewal",
            "RenewalStatus": i["RenewalStatus"],
            "Duration": i["RenewalDuration"],
            "PeriodUnit": i["RenewalUnit"],
            "EnableExpectedRenewDay": False,
        }
        for i in chosen
    ]
    return {**numbers, "InstanceRenewAttributes": {"InstanceRenewAttribute": rows}}
