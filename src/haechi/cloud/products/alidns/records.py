"""Records: adding, changing, switching, deleting."""

from __future__ import annotations

from haechi.cloud.action import Answer, Call, Effect
from haechi.cloud.errors import ApiError, missing
from haechi.cloud.params import Id, Str
from haechi.cloud.products.alidns.kinds import DomainName, HostRecord, Line, Priority, Remark, Ttl, Type, Value, check
from haechi.cloud.products.alidns.lookup import RECORD, get_domain, get_record
from haechi.cloud.products.alidns.product import alidns


def _check_others(call: Call, domain: str, rr: str, type: str, value: str, but: str = "") -> None:
    """Raises DomainRecordDuplicate, DomainRecordConflict."""
    same = [r for r in call.view.find(RECORD, DomainName=domain, RR=rr) if r.id != but]
    if any(r["Type"] == type and r["Value"] == value for r in same):
        raise ApiError("DomainRecordDuplicate", "The DNS record already exists.")
    if same and (type == "CNAME" or any(r["Type"] == "CNAME" for r in same)):
        raise ApiError("DomainRecordConflict", "The DNS record conflicts with another DNS record of the same host.")


@alidns.action("AddDomainRecord", Effect.PACKETS)
def add_domain_record(
    call: Call,
    DomainName: DomainName,
    RR: HostRecord,
    Type: Type,
    Value: Value,
    TTL: Ttl = 600,
    Priority: Priority = 0,
    Line: Line = "default",
    Lang: Id = "",
    UserClientIp: Str = "",
) -> Answer:
    """A record, which is answered at once."""
    domain = get_domain(call, DomainName)["DomainName"]
    if Type == "MX" and not Priority:
        raise missing("Priority")
    rr = RR.lower()
    value = check(rr, Type, Value, TTL, Line, domain)
    _check_others(call, domain, rr, Type, value)
    id = str(int(call.now() * 1_000_000)) + "00"
    while call.tx.get(RECORD, id) is not None:
        id = str(int(id) + 1)
    values = {"DomainName": domain, "RR": rr, "Type": Type, "Value": value, "TTL": TTL, "Priority": Priority, "Line": Line}
    call.tx.put(RECORD, id, "", {"CreatedAt": call.now(), "UpdatedAt": 0, **values, "Status": "ENABLE", "Remark": "", "Weight": 1})
    return {"RecordId": id}


@alidns.action("UpdateDomainRecord", Effect.PACKETS)
def update_domain_record(
    call: Call,
    RecordId: Id,
    RR: HostRecord,
    Type: Type,
    Value: Value,
    TTL: Ttl = 600,
    Priority: Priority = 0,
    Line: Line = "default",
    Lang: Id = "",
    UserClientIp: Str = "",
) -> Answer:
    """Another host, type, value or TTL."""
    record = get_record(call, RecordId)
    if Type == "MX" and not Priority:
        raise missing("Priority")
    rr = RR.lower()
    value = check(rr, Type, Value, TTL, Line, record["DomainName"])
    if all(record[name] == wanted for name, wanted in (("RR", rr), ("Type", Type), ("Value", value), ("TTL", TTL), ("Priority", Priority))):
        raise ApiError("DomainRecordDuplicate", "The DNS record already exists.")
    _check_others(call, record["DomainName"], rr, Type, value, record.id)
    call.tx.change(record, RR=rr, Type=Type, Value=value, TTL=TTL, Priority=Priority, Line=Line, UpdatedAt=call.now())
    return {"RecordId": record.id}


@alidns.action("UpdateDomainRecordRemark", Effect.RECORD)
def update_domain_record_remark(call: Call, RecordId: Id, Remark: Remark = "", Lang: Id = "", UserClientIp: Str = "") -> Answer:
    """A note."""
    call.tx.change(get_record(call, RecordId), Remark=Remark)
    return {}


@alidns.action("SetDomainRecordStatus", Effect.PACKETS)
def set_domain_record_status(call: Call, RecordId: Id, Status: Id, Lang: Id = "", UserClientIp: Str = "") -> Answer:
    """Enable or Disable: a disabled record is not answered."""
    if Status.lower() not in ("enable", "disable"):
        raise ApiError("InvalidStatus", "The status is Enable or Disable.")
    record = get_record(call, RecordId)
    call.tx.change(record, Status=Status.upper(), UpdatedAt=call.now())
    return {"RecordId": record.id, "Status": Status.capitalize()}


@alidns.action("DeleteDomainRecord", Effect.PACKETS)
def delete_domain_record(call: Call, RecordId: Id, Lang: Id = "", UserClientIp: Str = "") -> Answer:
    """Answer it no more."""
    record = get_record(call, RecordId)
    call.tx.delete(record)
    return {"RecordId": record.id}


@alidns.action("DeleteSubDomainRecords", Effect.PACKETS)
def delete_sub_domain_records(
    call: Call, DomainName: DomainName, RR: HostRecord, Type: Id = "", Lang: Id = "", UserClientIp: Str = ""
) -> Answer:
    """Every record of a host, or those of one type."""
    domain = get_domain(call, DomainName)["DomainName"]
    gone = [r for r in call.view.find(RECORD, DomainName=domain, RR=RR.lower()) if not Type or r["Type"] == Type.upper()]
    for record in gone:
        call.tx.delete(record)
    return {"RR": RR, "TotalCount": str(len(gone))}
