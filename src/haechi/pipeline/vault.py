"""The steps that make a Vault and open it: 01_vault by terraform, then initialised once, and unsealed whenever it is sealed.

Or a Vault that exists already, by its address; that one is neither made, initialised nor unsealed here.
"""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from haechi.clients.aliyun import ApiError
from haechi.clients.control import ControlClient
from haechi.clients.vault import Seal, Vault, VaultRefused, VaultSilent
from haechi.pipeline import remote, shares
from haechi.pipeline.bundle import publish
from haechi.pipeline.cloud import ECS, connect
from haechi.pipeline.failure import Failure
from haechi.pipeline.files import write_private
from haechi.pipeline.run import Run, apply_part, operator_key
from haechi.settings import Target

SHARES, THRESHOLD = 5, 3
ANSWER_SECONDS = 300
TELL_SECONDS = 30
ACTIVE_SECONDS = 60
LOGS = "tail -n 8 /var/log/cloud-init-output.log; journalctl -u vault -n 8 --no-pager -o cat"
PACKAGES = ("haechi", "hashicorp")


@dataclass(frozen=True)
class Known:
    """What is written down of a target's Vault. `managed` means that 01_vault made it; `shares` is where its shares went."""

    address: str
    managed: bool
    package: str
    shares: str


def read_known(target: Target) -> Known | None:
    """None before the first `up`."""
    path = target.vault_home / "vault.json"
    return Known(**json.loads(path.read_text())) if path.exists() else None


def _write_known(target: Target, known: Known) -> None:
    write_private(target.vault_home / "vault.json", json.dumps(asdict(known)) + "\n")


def forget_vault(target: Target, destroyed: bool) -> None:
    """After `down`: which Vault it was; with 01_vault `destroyed` the demonstration's shares, and what a Vault of ours knew as users.

    Files that the user named stay.
    """
    known = read_known(target)
    names = ["vault.json"]
    if destroyed:
        names += [shares.DEMONSTRATION, f"{shares.DEMONSTRATION}.tmp"]
        names += ["operators.json"] if known is None or known.managed else []
    for name in names:
        (target.vault_home / name).unlink(missing_ok=True)


@contextmanager
def client(target: Target, address: str = "") -> Iterator[Vault]:
    """A client of this target's Vault, or of the one at `address`. What Vault refuses inside becomes a Failure."""
    with Vault(address or target.vault_addr, direct=target.local) as vault:
        try:
            yield vault
        except VaultSilent as error:
            raise Failure(f"Vault does not answer: {error}", "`haechi status` tells what is up; `haechi up` brings it back.") from None
        except VaultRefused as error:
            hint = {403: "Use a token that may do that: VAULT_TOKEN.", 503: "Unseal it: `haechi up`, or `haechi vault operator unseal`."}
            raise Failure(f"Vault refused {error}", hint.get(error.status, "See `haechi vault audit list` and Vault's log.")) from None


def apply_vault(run: Run) -> str:
    """01_vault: network, filter and an instance whose user data starts Vault. Waits until Vault answers."""
    known = read_known(run.target)
    address = run.vault.address or (known.address if known and not known.managed else "")
    if address:
        with client(run.target, address) as vault:
            seal = vault.seal()
        if seal is None:
            raise Failure(
                f"Nothing that speaks Vault's API answers at {address}.", "Check the address; 01_vault is not applied with --vault."
            )
        _write_known(run.target, Known(address, False, "", ""))
        return f"using the Vault at {address}, {seal.word}"
    package = run.vault.package or (known.package if known else "") or ("haechi" if run.target.local else "hashicorp")
    if package not in PACKAGES:
        raise Failure(f"There is no Vault package {package!r}.", f"Use --vault-package {' or '.join(PACKAGES)}.")
    place = run.vault.shares or (known.shares if known else "")
    place = place if place in ("", "-") else str(Path(place).absolute())
    if not run.target.local and not place:
        raise Failure(
            "A new Vault needs a place for its unseal shares and its root token.",
            "Name a file with --vault-shares FILE, or - to see them once on the terminal.",
        )
    outputs = apply_part(run, "01_vault", _variables(run, package))
    known = Known(str(outputs["vault_addr"]), True, package, place)
    _write_known(run.target, known)
    seal = _wait_answer(run, known.address, str(outputs["instance_id"]), str(outputs["public_ip"]))
    return f"{known.address} answers, {seal.word}"


def admit_clients(run: Run, addresses: list[str]) -> None:
    """Let hosts reach Vault whose addresses are known only now. A local site's range is let in from the beginning."""
    known = read_known(run.target)
    if known is None or not known.managed or run.target.local:
        return
    apply_part(run, "01_vault", {**_variables(run, known.package), "client_cidrs": [f"{a}/32" for a in addresses]})


def _variables(run: Run, package: str) -> dict[str, object]:
    target = run.target
    public = operator_key(target).with_suffix(".pub").read_text().strip()
    variables: dict[str, object] = {"region": target.region, "public_key": public, "vault_package": package}
    if target.local:
        published = publish(target.site.home / "mirror")
        variables |= {"operator_cidr": f"{target.site.outside}/32", "client_cidrs": [str(target.site.public)]}
        variables |= {"vault_package_url": published.vault_url, "vault_package_sha256": published.vault_sha256}
    elif addresses := run.outputs("03_app").get("public_ips", []):
        variables["client_cidrs"] = [f"{a}/32" for a in addresses]
    return variables


def _wait_answer(run: Run, address: str, instance: str, public: str) -> Seal:
    deadline = time.monotonic() + ANSWER_SECONDS
    told = 0.0
    with client(run.target, address) as vault:
        while time.monotonic() < deadline:
            seal = vault.seal()
            if seal is not None:
                return seal
            if run.target.local and ControlClient(run.target.control).health() is None:
                raise Failure("The cloud server is gone, and with it the instances' name service.", "Run `haechi up` again; it carries on.")
            if time.monotonic() > told + TELL_SECONDS:
                told = time.monotonic()
                run.say(f"waiting for Vault at {address}: its instance boots and runs its user data")
            time.sleep(0.3)
    for line in _last_words(run.target, instance, public):
        run.say(f"{instance}: {line}")
    raise Failure(
        f"Vault does not answer at {address} after {ANSWER_SECONDS} s; the last lines of its instance are above.",
        f"Look there: ssh -i {operator_key(run.target)} root@{public}, /var/log/cloud-init-output.log and `journalctl -u vault`.",
    )


def _last_words(target: Target, instance: str, public: str) -> list[str]:
    """The last lines of the user data's log and of Vault's, or of the console when the instance lets nobody in."""
    try:
        done = remote.run(target, public, LOGS)
        if done.stdout.strip():
            return done.stdout.splitlines()
        answer = connect(target).call("ecs", ECS, "GetInstanceConsoleOutput", {"InstanceId": instance})
    except ApiError as error:
        return [f"its console is unknown: {error.code}"]
    except subprocess.TimeoutExpired:
        return ["it does not answer on SSH"]
    return base64.b64decode(answer["ConsoleOutput"]).decode(errors="replace").splitlines()[-8:]


def open_vault(run: Run) -> str:
    """Initialised if it never was, and unsealed: by the shares that were written down."""
    known = read_known(run.target)
    assert known is not None, "vault-apply comes first"
    with client(run.target, known.address) as vault:
        seal = vault.seal()
        if seal is None:
            raise Failure(f"Vault at {known.address} does not answer any more.", "Run `haechi status`, then `haechi up` again.")
        if not seal.initialized:
            if not known.managed:
                raise Failure(f"The Vault at {known.address} is not initialised.", "Initialise it: `haechi vault operator init`.")
            return _init(run, vault, known)
        if not seal.sealed:
            return f"unsealed already, {seal.threshold} of {seal.shares} shares open it"
        keys = shares.read(run.target, known.shares) if known.managed else None
        if keys is None:
            raise _no_shares(run.target, known, seal)
        if seal.progress:
            vault.request("PUT", "sys/unseal", {"reset": True})
        _unseal(vault, keys.shares, f"The shares in {keys.path} do not open the Vault at {known.address}")
        return f"unsealed with {seal.threshold} of the shares in {keys.path}"


def _init(run: Run, vault: Vault, known: Known) -> str:
    with shares.keeper(run.target, known.shares) as keep:  # a place that cannot be written fails here, before there are shares
        answer = vault.init(SHARES, THRESHOLD)
        where = keep(answer, SHARES, THRESHOLD)
    run.values["vault_token"] = answer["root_token"]
    if where == shares.demonstration(run.target):
        run.say(f"demonstration: unseal shares and root token lie in {where}; keep real ones apart")
    _unseal(vault, answer["keys"], "The new shares do not open Vault")
    return f"initialised with {SHARES} shares, threshold {THRESHOLD} ({where or 'shown once, stored nowhere'}); unsealed"


def _unseal(vault: Vault, keys: list[str], trouble: str) -> None:
    """Give shares until it is open and serves."""
    try:
        for key in keys:
            if not vault.unseal(key).sealed:
                break
        else:
            raise Failure(f"{trouble}: {len(keys)} are not enough.", "Unseal it by hand: `haechi vault operator unseal`.")
    except VaultRefused as error:
        raise Failure(f"{trouble}: {'; '.join(error.errors)}.", "Unseal it by hand: `haechi vault operator unseal`.") from None
    deadline = time.monotonic() + ACTIVE_SECONDS
    while time.monotonic() < deadline:
        try:
            vault.request("GET", "sys/health")
            return
        except VaultRefused:  # 429: the real one is a standby for a moment
            time.sleep(0.2)
    raise Failure(f"Vault at {vault.address} is unsealed but does not become active.", "Look at its log: `journalctl -u vault`.")


def _no_shares(target: Target, known: Known, seal: Seal) -> Failure:
    if known.managed and known.shares != "-" and not (target.vault_home / "operators.json").exists():
        return Failure(
            "Vault was initialised by a run that was cut off before it wrote the shares down, and nothing is stored in it yet.",
            "`haechi down`, then `haechi up` makes a new one.",
        )
    return Failure(
        f"The Vault at {known.address} is sealed and its unseal shares are not here.",
        f"`haechi vault operator unseal` with {seal.threshold} of them, then `haechi up` again.",
    )
