"""operator rekey and generate-root: what a quorum of unseal key holders does, key by key."""

from __future__ import annotations

import base64
import secrets
import string
import sys
from typing import Any

from haechi.vaultcli.command import Call, Command, failing
from haechi.vaultcli.errors import CommandError
from haechi.vaultcli.flags import Flag
from haechi.vaultcli.output import render_columns, render_table
from haechi.vaultcli.values import wrap

PGP = (
    Flag("pgp-keys", "Not supported: keys are not encrypted with PGP."),
    Flag("root-token-pgp-key", "Not supported: the token is not encrypted with PGP."),
)
SHARES = (
    Flag("key-shares", "How many unseal keys to make.", "int", 5, aliases=("n",)),
    Flag("key-threshold", "How many of them unseal.", "int", 3, aliases=("t",)),
)


def refuse_pgp(call: Call) -> None:
    """CommandError when a flag asks for PGP: to ignore it would print in the clear what the user wanted encrypted."""
    asked = sorted({"pgp-keys", "pgp-key", "root-token-pgp-key", "backup"} & call.flags.given)
    if asked:
        raise CommandError(f"-{asked[0]} is not supported: this vault command does not encrypt with PGP. Nothing was sent.")


def _give_key(call: Call, status: dict[str, Any], prompt: str) -> dict[str, str]:
    """The key of the argument, stdin or the prompt, with the operation's nonce; the nonce must be named unless it is asked for."""
    key, nonce = (call.arguments[0].strip() if call.arguments else ""), call.flags["nonce"]
    if key == "-":
        key = sys.stdin.read().strip()
    elif not key:
        nonce = nonce or status["nonce"]
        print(f"Operation nonce: {nonce}", file=sys.stderr)
        key = call.ask_secret(prompt)
    if not nonce:
        raise CommandError("Missing nonce value: specify it via the -nonce flag")
    return {"key": key, "nonce": nonce}


# --- rekey ---------------------------------------------------------------------------------------


def rekey(call: Call) -> int:
    """Make new unseal keys with a quorum of the old ones."""
    refuse_pgp(call)
    if call.flags["target"].strip().lower() != "barrier":
        raise CommandError(f"Unknown target: {call.flags['target']}")
    path = "sys/rekey/verify" if call.flags["verify"] else "sys/rekey/init"
    if call.flags["cancel"]:
        with failing("Error canceling rekey"):
            call.client.delete(path)
        call.screen.out("Success! Canceled rekeying (if it was started)")
        return 0
    if call.flags["init"]:
        return _rekey_init(call)
    if call.flags["status"]:
        return _rekey_status(call, path)
    return _rekey_update(call, path)


def _rekey_init(call: Call) -> int:
    body = {
        "secret_shares": call.flags["key-shares"],
        "secret_threshold": call.flags["key-threshold"],
        "require_verification": call.flags["verify"],
    }
    with failing("Error initializing rekey"):
        answer = call.client.expect("PUT", "sys/rekey/init", body)
    if call.screen.table:
        call.screen.warn(
            wrap(
                "WARNING! If you lose the keys after they are returned, there is no recovery. "
                "Cancel this operation with -cancel if you cannot keep them safe."
            )
            + "\n"
        )
    return _show_rekey(call, answer.get("data") or answer)


def _rekey_status(call: Call, path: str) -> int:
    with failing("Error reading rekey status"):
        answer = call.client.expect("GET", path)
    return _show_rekey(call, answer.get("data") or answer, verifying=path.endswith("verify"))


def _rekey_update(call: Call, path: str) -> int:
    with failing("Error getting rekey status"):
        status = call.client.expect("GET", path)
    status = status.get("data") or status
    if not status.get("started"):
        raise CommandError(wrap('No rekey is in progress. Start a rekey process by running "vault operator rekey -init".'))
    body = _give_key(call, status, "Unseal Key (will be hidden): ")
    with failing("Error posting unseal key"):
        answer = call.client.expect("PUT", "sys/rekey/verify" if call.flags["verify"] else "sys/rekey/update", body)
    answer = answer.get("data") or answer
    if not answer.get("complete"):
        return _rekey_status(call, path)
    if call.flags["verify"]:
        call.screen.out(wrap("Rekey verification successful. The rekey operation is complete and the new keys are now active."))
        return 0
    return _show_new_keys(call, status, answer)


def _show_rekey(call: Call, status: dict[str, Any], verifying: bool = False) -> int:
    if not call.screen.table:
        return call.screen.data(status)
    started = bool(status.get("started"))
    progress = f"{status.get('progress', 0)}/{status.get('t' if verifying else 'required', 0)}"
    rows: list[list[Any]] = [["Key", "Value"]]
    if verifying:
        rows += [["Started", started], ["New Shares", status.get("n", 0)], ["New Threshold", status.get("t", 0)]]
        rows += [["Verification Nonce", status.get("nonce", "")], ["Verification Progress", progress]]
    else:
        rows += [["Nonce", status.get("nonce", "")], ["Started", started]]
    if started and not verifying:
        done = status.get("progress") == status.get("required")
        rows += [["Rekey Progress", progress + (" (verification in progress)" if done else "")]]
        rows += [["New Shares", status.get("n", 0)], ["New Threshold", status.get("t", 0)]]
        rows += [["Verification Required", bool(status.get("verification_required"))]]
        rows += [["Verification Nonce", status["verification_nonce"]]] if status.get("verification_nonce") else []
    call.screen.out(render_table(rows))
    return 0


def _show_new_keys(call: Call, status: dict[str, Any], answer: dict[str, Any]) -> int:
    if not call.screen.table:
        return call.screen.data(answer)
    n, t = status.get("n"), status.get("t")
    call.screen.out("")
    for number, key in enumerate(answer.get("keys_base64") or answer["keys"], 1):
        call.screen.out(f"Key {number}: {key}")
    call.screen.out(f"\nOperation nonce: {answer.get('nonce', '')}\n")
    distribute = (
        "Please securely distribute the key shares printed above. When Vault is re-sealed, restarted, or stopped, you must "
        f"supply at least {t} of these keys to unseal it before it can start servicing requests."
    )
    if not status.get("verification_required"):
        call.screen.out(wrap(f"Vault unseal keys rekeyed with {n} key shares and a key threshold of {t}. {distribute}"))
        return 0
    call.screen.out(
        wrap(
            f"Vault has created a new unseal key, split into {n} key shares and a key threshold of {t}. "
            f"These will not be active until after verification is complete. {distribute}"
        )
        + "\n"
    )
    call.screen.warn(
        wrap(
            "Again, these key shares are _not_ valid until verification is performed. Do not lose or discard your current key shares "
            "until after verification is complete or you will be unable to unseal Vault. If you cancel the rekey process or seal Vault "
            "before verification is complete the new shares will be discarded and the current shares will remain valid."
        )
        + "\n"
    )
    call.screen.warn(wrap("The current verification status, including initial nonce, is shown below.") + "\n")
    return _rekey_status(call, "sys/rekey/verify")


# --- generate-root -------------------------------------------------------------------------------

ATTEMPT = "sys/generate-root/attempt"


def generate_root(call: Call) -> int:
    """Make a new root token with a quorum of unseal keys. The token comes encoded; -decode with the OTP prints it."""
    refuse_pgp(call)
    flags = call.flags
    if flags["generate-otp"]:
        return _generate_otp(call)
    if flags["decode"]:
        return _decode(call, flags["decode"], flags["otp"])
    if flags["cancel"]:
        with failing("Error canceling root token generation"):
            call.client.delete(ATTEMPT)
        call.screen.out("Success! Root token generation canceled (if it was started)")
        return 0
    if flags["init"]:
        with failing("Error initializing root generation"):
            answer = call.client.expect("PUT", ATTEMPT, {"otp": flags["otp"]} if flags["otp"] else {})
        return _show_attempt(call, answer)
    with failing("Error getting root generation status"):
        status = call.client.expect("GET", ATTEMPT)
    if flags["status"]:
        return _show_attempt(call, status)
    if not status.get("started"):
        call.screen.error(
            wrap('No root generation is in progress. Start a root generation by running "vault operator generate-root -init".')
        )
        call.screen.warn(
            wrap(
                "If starting root generation using the OTP method and generating your own OTP, the length of the OTP string "
                f"needs to be {status.get('otp_length', 0)} characters in length."
            )
        )
        return 1
    body = _give_key(call, status, "Unseal Key (will be hidden): ")
    with failing("Error posting unseal key"):
        return _show_attempt(call, call.client.expect("PUT", "sys/generate-root/update", body))


def _generate_otp(call: Call) -> int:
    with failing("Error getting root generation status"):
        length = call.client.expect("GET", ATTEMPT).get("otp_length", 0)
    otp = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(length))
    if call.screen.table:
        call.screen.raw(otp)
        return 0
    return call.screen.data({"otp": otp, "otp_length": length})


def _decode(call: Call, encoded: str, otp: str) -> int:
    """XOR the token out of its encoding. The server is not asked: the OTP's length says all."""
    if not otp:
        raise CommandError("Missing otp: use -otp to supply it")
    encoded = sys.stdin.read().strip() if encoded == "-" else encoded.strip()
    if not encoded:
        raise CommandError('Missing encoded value. When using -decode="-" value must be passed via stdin.')
    try:
        mixed = base64.b64decode(encoded.rstrip("=") + "=" * (-len(encoded.rstrip("=")) % 4), validate=True)
    except ValueError:
        raise CommandError("Error decoding root token: the encoded value is not base64") from None
    if len(mixed) != len(otp.encode()):
        raise CommandError(
            f"Error decoding root token: error xoring token: length of byte slices is not equivalent: {len(mixed)} != {len(otp.encode())}"
        )
    token = bytes(a ^ b for a, b in zip(mixed, otp.encode(), strict=True)).decode(errors="replace")
    if call.screen.table:
        call.screen.raw(token)
        return 0
    return call.screen.data({"token": token})


def _show_attempt(call: Call, answer: dict[str, Any]) -> int:
    if not call.screen.table:
        return call.screen.data(answer)
    rows: list[list[Any]] = [["Nonce", answer.get("nonce", "")], ["Started", bool(answer.get("started"))]]
    rows += [["Progress", f"{answer.get('progress', 0)}/{answer.get('required', 0)}"], ["Complete", bool(answer.get("complete"))]]
    if answer.get("encoded_token"):
        rows += [["Encoded Token", answer["encoded_token"]]]
    if answer.get("otp"):
        call.screen.warn(
            wrap(
                "A One-Time-Password has been generated for you and is shown in the OTP field. "
                "You will need this value to decode the resulting root token, so keep it safe."
            )
        )
        rows += [["OTP", answer["otp"]]]
    rows += [["OTP Length", answer["otp_length"]]] if answer.get("otp_length") else []
    call.screen.out(render_columns(rows))
    return 0


NONCE = Flag("nonce", "The nonce of the operation, printed when it was begun.")
COMMANDS = (
    Command(
        "operator rekey",
        rekey,
        "Make new unseal keys with a quorum of the old ones.",
        "[KEY]",
        (
            *SHARES,
            PGP[0],
            NONCE,
            Flag("backup", "Not supported: it goes with PGP.", "bool"),
            Flag("cancel", "Give the operation up.", "bool"),
            Flag("init", "Begin.", "bool"),
            Flag("status", "Print how far it is.", "bool"),
            Flag("target", "What to rekey; barrier is the only target.", default="barrier"),
            Flag("verify", "Demand (with -init) or do the verification of the new keys.", "bool"),
        ),
        (0, 1),
    ),
    Command(
        "operator generate-root",
        generate_root,
        "Make a new root token with a quorum of unseal keys.",
        "[KEY]",
        (
            NONCE,
            Flag("cancel", "Give the operation up.", "bool"),
            Flag("decode", "The encoded token to decode with -otp; - reads it from stdin."),
            Flag("generate-otp", "Print a one-time password for -init.", "bool"),
            Flag("init", "Begin.", "bool"),
            Flag("otp", "The one-time password for -init or -decode."),
            Flag("pgp-key", "Not supported: the token is not encrypted with PGP."),
            Flag("status", "Print how far it is.", "bool"),
        ),
        (0, 1),
    ),
)
