"""How an action is declared, and what its function is handed.

    vpc = Product("vpc", "2016-04-28")

    @vpc.action("CreateVSwitch", Effect.PACKETS, idempotent=True)
    def create_vswitch(call: Call, VpcId: Id, CidrBlock: Cidr, ZoneId: Id, VSwitchName: Name = "") -> Answer:
        ...

An action that only reads is handed a View and runs without a lock. One that writes runs inside the one Transaction; when it
returns, the data plane is brought to the new state, and only if that succeeds is anything stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar

from haechi.cloud.params import Signature, read_signature
from haechi.cloud.store import Resource, Store, Transaction, View

if TYPE_CHECKING:
    from haechi.cloud.runtime import Runtime

Answer = dict[str, Any]
Function = TypeVar("Function", bound=Callable[..., Answer])


class Effect(Enum):
    """What an action does to the world."""

    PACKETS = "traffic changes"
    HOST = "a machine changes"
    RECORD = "stored and returned, nothing more"
    READ = "only reads"


@dataclass(frozen=True)
class Action:
    """One served action."""

    product: str
    version: str
    name: str
    effect: Effect
    run: Callable[..., Answer]
    signature: Signature
    idempotent: bool = False  # honours ClientToken
    limit: str = ""  # what of it is not real here, for the coverage page

    @property
    def writes(self) -> bool:
        return self.effect is not Effect.READ


@dataclass
class Product:
    """One product code with its API version and the actions it serves; `absent` names what users may look for in vain."""

    code: str
    version: str
    absent: str = ""
    actions: dict[tuple[str, str], Action] = field(default_factory=dict)

    def action(
        self, name: str, effect: Effect, *, idempotent: bool = False, versions: Sequence[str] = (), limit: str = ""
    ) -> Callable[[Function], Function]:
        """Serve a function as an action; `versions` are further API versions that carry it."""

        def register(function: Function) -> Function:
            signature = read_signature(function)
            for version in (self.version, *versions):
                if (version, name) in self.actions:
                    raise ValueError(f"{self.code} {name} is declared twice")
                self.actions[version, name] = Action(self.code, version, name, effect, function, signature, idempotent, limit)
            return function

        return register


@dataclass(frozen=True)
class Caller:
    """Who signed the request. `kind` is RootAccount, RAMUser or AssumedRole."""

    account: str
    kind: str
    id: str
    name: str
    access_key: str

    @property
    def arn(self) -> str:
        if self.kind == "RootAccount":
            return f"acs:ram::{self.account}:root"
        return f"acs:ram::{self.account}:{'user' if self.kind == 'RAMUser' else 'assumed-role'}/{self.name}"


@dataclass
class Call:
    """What an action's function is handed besides its parameters."""

    action: Action
    caller: Caller
    region: str
    request_id: str
    runtime: Runtime
    view: View
    sent: Mapping[str, str]  # every parameter as it came, flat
    agent: str = ""  # the client program as its User-Agent names it, when it is one whose leftovers are told
    after: list[Callable[[], object]] = field(default_factory=list)  # run once the change is stored, in order
    begun: list[tuple[str, str]] = field(default_factory=list)  # (kind, id) of what is on its way to another Status

    @property
    def store(self) -> Store:
        return self.runtime.store

    @property
    def tx(self) -> Transaction:
        """The transaction of a writing action."""
        if not isinstance(self.view, Transaction):
            raise TypeError(f"{self.action.name} is declared READ and cannot write")
        return self.view

    def now(self) -> float:
        """Epoch seconds."""
        return self.store.now()

    def create(self, kind: str, prefix: str, data: Mapping[str, Any], id: str = "") -> Resource:
        """A new resource in the caller's region, with CreatedAt set, and Agent if there is one to remember."""
        agent = {"Agent": self.agent} if self.agent else {}
        return self.tx.put(kind, id or self.store.new_id(prefix), self.region, {"CreatedAt": self.now(), **agent, **data})

    def find(self, kind: str, **equal: Any) -> list[Resource]:
        """Resources of the caller's region."""
        return self.view.find(kind, self.region, **equal)

    def get(self, kind: str, id: str) -> Resource | None:
        """A resource of the caller's region, or None."""
        return self.view.get(kind, id, self.region)
