"""Names, look-ups and paging that the modules of this product share.

Users, groups, roles and custom policies are found by name; names differ by more than their case. Source: the vendor's "Limits" page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from haechi.cloud.action import Call
from haechi.cloud.errors import ApiError, invalid, not_found
from haechi.cloud.paging import page_token
from haechi.cloud.params import Kind, Number, Text
from haechi.cloud.store import Resource, View

T = TypeVar("T")


@dataclass(frozen=True)
class Named(Kind):
    """Text with this product's two codes: InvalidParameter.<name>.Length and .InvalidChars."""

    most: int
    pattern: str = ""

    def parse(self, name: str, raw: str) -> str:
        short = name.removeprefix("New")
        Text(self.most, 1, "", f"InvalidParameter.{short}.Length").parse(name, raw)
        return Text(self.most, 1, self.pattern, f"InvalidParameter.{short}.InvalidChars").parse(name, raw)


UserName = Annotated[str, Named(64, r"[A-Za-z0-9._\-]+")]
GroupName = Annotated[str, Named(64, r"[A-Za-z0-9.\-]+")]
RoleName = Annotated[str, Named(64, r"[A-Za-z0-9._\-]+")]
PolicyName = Annotated[str, Named(128, r"[A-Za-z0-9\-]+")]
DisplayName = Annotated[str, Named(128)]
Comments = Annotated[str, Named(128)]
LongText = Annotated[str, Named(1024)]
Email = Annotated[str, Text(128, 3, r"[^@\s]+@[^@\s]+", "InvalidParameter.Email.Format")]
Phone = Annotated[str, Text(32, 3, r"[0-9]{1,4}-[0-9]{3,20}", "InvalidParameter.MobilePhone.Format")]
MaxItems = Annotated[int, Number(1, 1000, "InvalidParameter.MaxItems")]


def new_number(call: Call, first: str) -> str:
    """An 18-digit id, as users and roles have."""
    return f"{first}{int(call.store.token(16), 36) % 10**17:017d}"


def marker_page(items: Sequence[T], marker: str, size: int, key: Callable[[T], str]) -> tuple[Sequence[T], dict[str, Any]]:
    """The page after `marker`, and IsTruncated with, where there is more, the next Marker."""
    try:
        shown, following = page_token(items, marker, size, key)
    except ApiError:
        raise invalid("Marker", "", "InvalidParameter.Marker") from None
    return shown, {"IsTruncated": True, "Marker": following} if following else {"IsTruncated": False}


def find_named(view: View, kind: str, field: str, name: str) -> Resource | None:
    """By name, in any case."""
    wanted = name.lower()
    return next((r for r in view.find(kind) if r[field].lower() == wanted), None)


def get_user(view: View, name: str) -> Resource:
    """The user. Raises EntityNotExist.User."""
    found = find_named(view, "ram_user", "UserName", name)
    if found is None:
        raise not_found("EntityNotExist.User", "The user does not exist.")
    return found


def get_group(view: View, name: str) -> Resource:
    """The group. Raises EntityNotExist.Group."""
    found = find_named(view, "ram_group", "GroupName", name)
    if found is None:
        raise not_found("EntityNotExist.Group", "The group does not exist.")
    return found


def get_role(view: View, name: str) -> Resource:
    """The role. Raises EntityNotExist.Role."""
    found = find_named(view, "ram_role", "RoleName", name)
    if found is None:
        raise not_found("EntityNotExist.Role", "The role does not exist.")
    return found


def conflict(code: str, message: str) -> ApiError:
    """What exists already, is at its limit, or is still in use."""
    return ApiError(code, message, 409)
