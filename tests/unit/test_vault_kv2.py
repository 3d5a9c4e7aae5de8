"""KV version 2: versions that are counted, deleted, brought back, destroyed and dropped; metadata; check-and-set; patches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from haechi.vault.engines.kv1 import KV1
from haechi.vault.engines.kv2 import KV2, upgrade
from haechi.vault.engines.kv2_versions import merge_patch, without_values
from haechi.vault.errors import VaultError
from haechi.vault.logical import CREATE, DELETE, LIST, PATCH, READ, UPDATE, Request
from haechi.vault.mounts import Mount
from tests.vault_view import DictView, FakeServices, ask
from tests.vaultlab import VaultLab

T0 = "2023-11-14T22:13:20Z"  # of FakeServices
MISMATCH = "check-and-set parameter did not match the current version"
REQUIRED = "check-and-set parameter required for this call"


class Lab:
    def __init__(self) -> None:
        self.services, self.view = FakeServices(), DictView()
        self.backend = KV2(self.services, Mount("secret/", "kv", options={"version": "2"}))

    def ask(self, operation: str, path: str, data: dict[str, Any] | None = None) -> Any:
        return ask(self.backend, operation, path, data, self.view)

    def refused(self, operation: str, path: str, data: dict[str, Any] | None = None) -> VaultError:
        with pytest.raises(VaultError) as caught:
            self.ask(operation, path, data)
        return caught.value

    def put(self, path: str, data: dict[str, Any], **options: Any) -> Any:
        return self.ask(UPDATE, f"data/{path}", {"data": data, "options": options}).data

    def get(self, path: str, version: int | None = None) -> Any:
        return self.ask(READ, f"data/{path}", {} if version is None else {"version": str(version)}).data["data"]

    def metadata(self, path: str) -> Any:
        return self.ask(READ, f"metadata/{path}").data

    def readable(self, path: str) -> list[int]:
        """Numbers of the versions whose data can be read."""
        found = []
        for number in map(int, self.metadata(path)["versions"]):
            try:
                self.get(path, number)
            except VaultError as error:
                assert error.status == 404
            else:
                found.append(number)
        return found


@pytest.fixture
def lab() -> Lab:
    return Lab()


@pytest.fixture
def three(lab: Lab) -> Lab:
    """A key "a" with three versions."""
    for number in (1, 2, 3):
        lab.put("a", {"n": number})
    return lab


# Writing and reading


def test_a_write_answers_with_the_versions_metadata(lab: Lab) -> None:
    lab.services.time += 0.25
    expected = {"created_time": "2023-11-14T22:13:20.25Z", "custom_metadata": None, "deletion_time": "", "destroyed": False, "version": 1}
    assert lab.put("a", {"k": "v"}) == expected
    assert lab.ask(READ, "data/a").data == {"data": {"k": "v"}, "metadata": expected}


def test_every_version_can_be_read(three: Lab) -> None:
    assert [three.get("a", number) for number in (1, 2, 3)] == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert three.get("a") == three.get("a", 0) == {"n": 3}


def test_what_is_not_there_is_not_found(three: Lab) -> None:
    for path, query in (
        ("data/b", {}),
        ("data/", {}),
        ("data/a/b", {}),
        ("data/a", {"version": "4"}),
        ("metadata/b", {}),
        ("subkeys/b", {}),
    ):
        refusal = three.refused(READ, path, query)
        assert (refusal.status, refusal.errors, refusal.data) == (404, [], None)


def test_a_version_must_be_a_number(three: Lab) -> None:
    assert three.refused(READ, "data/a", {"version": "one"}).status == 400


def test_data_is_kept_as_sent(lab: Lab) -> None:
    sent = {"null": None, "deep": {"list": [1, {"a": True}]}, "data": {"data": 1}, "big": 2**60}
    lab.put("a", sent)
    assert lab.get("a") == sent
    assert lab.put("empty", {})["version"] == 1
    assert lab.get("empty") == {}


@pytest.mark.parametrize("body", [{}, {"data": None}, {"k": "v"}, {"options": {}}])
def test_a_write_needs_data(lab: Lab, body: dict[str, Any]) -> None:
    refusal = lab.refused(UPDATE, "data/a", body)
    assert (refusal.status, refusal.errors) == (400, ["no data provided"])
    assert lab.refused(UPDATE, "data/a", {"data": [1]}).status == 400
    assert lab.refused(UPDATE, "data/", {"data": {}}).errors == ["missing path"]
    assert lab.view.entries == {}


@pytest.mark.parametrize(
    "path", ["with space", "ünïcode/키", "http:/test.com", "a.b-c_d@e", "%2F", "..", "data/config", "a\nb", "1", "a/1", "-"]
)
def test_names_are_free_text(lab: Lab, path: str) -> None:
    lab.put(path, {"k": path})
    lab.put(path, {"k": path + "2"})
    assert (lab.get(path, 1), lab.get(path)) == ({"k": path}, {"k": path + "2"})
    assert lab.ask(LIST, f"metadata/{path}".rpartition("/")[0]).data == {"keys": [path.rpartition("/")[2]]}


def test_keys_below_a_key_are_their_own(lab: Lab) -> None:
    for path in ("a", "a/1", "a/1/1", "a"):
        lab.put(path, {"path": path})
    lab.ask(DELETE, "metadata/a")
    assert lab.get("a/1") == {"path": "a/1"}
    assert lab.get("a/1/1") == {"path": "a/1/1"}
    assert lab.refused(READ, "data/a").status == 404


def test_a_write_leaves_older_versions_alone(three: Lab) -> None:
    before = dict(three.view.entries)
    three.put("a", {"n": 4})
    assert {path for path, text in three.view.entries.items() if before.get(path) != text} == {"meta/a", "version/a/4"}


def test_create_or_update_is_decided_by_existence() -> None:
    seen: list[tuple[str, str]] = []

    class Watched(KV2):
        def write_data(self, request: Request, path: str) -> Any:
            seen.append((request.operation, path))
            return super().write_data(request, path)

        def write_metadata(self, request: Request, path: str) -> Any:
            seen.append((request.operation, path))
            return super().write_metadata(request, path)

    backend, view = Watched(FakeServices(), Mount("secret/", "kv")), DictView()
    for path in ("data/a", "data/a", "metadata/a", "metadata/b", "data/b"):
        ask(backend, UPDATE, path, {"data": {}, "max_versions": 3} if path[0] == "d" else {"max_versions": 3}, view)
    assert seen == [(CREATE, "a"), (UPDATE, "a"), (UPDATE, "a"), (CREATE, "b"), (UPDATE, "b")]


# Check-and-set


@pytest.mark.parametrize("cas", [3, "3", 3.0, "0x3"])
def test_cas_of_the_current_version_writes(three: Lab, cas: Any) -> None:
    assert three.put("a", {}, cas=cas)["version"] == 4


@pytest.mark.parametrize("cas", [0, 2, 4, -1, "2", None, True, ""])
def test_cas_of_another_version_is_refused(three: Lab, cas: Any) -> None:
    refusal = three.refused(UPDATE, "data/a", {"data": {}, "options": {"cas": cas}})
    assert (refusal.status, refusal.errors) == (400, [MISMATCH])
    assert three.get("a") == {"n": 3}


@pytest.mark.parametrize("cas", ["x", [], {}, [3], float("inf")])
def test_cas_must_be_a_number(three: Lab, cas: Any) -> None:
    assert three.refused(UPDATE, "data/a", {"data": {}, "options": {"cas": cas}}).errors == ["error parsing check-and-set parameter"]


def test_cas_0_only_creates(lab: Lab) -> None:
    assert lab.put("a", {}, cas=0)["version"] == 1
    assert lab.refused(UPDATE, "data/a", {"data": {}, "options": {"cas": 0}}).errors == [MISMATCH]


@pytest.mark.parametrize("place", ["config", "metadata/a"])
def test_cas_can_be_required_by_mount_or_key(lab: Lab, place: str) -> None:
    lab.ask(UPDATE, place, {"cas_required": True})
    refusal = lab.refused(UPDATE, "data/a", {"data": {}})
    assert (refusal.status, refusal.errors) == (400, [REQUIRED])
    assert lab.put("a", {}, cas=0)["version"] == 1
    assert lab.refused(PATCH, "data/a", {"data": {}}).errors == [REQUIRED]
    other: dict[str, Any] = {"data": {}}
    if place == "config":
        assert lab.refused(UPDATE, "data/b", other).errors == [REQUIRED]
    else:
        assert lab.ask(UPDATE, "data/b", other).data["version"] == 1


# Patch


def test_patch_merges_into_a_new_version(lab: Lab) -> None:
    lab.put("a", {"keep": 1, "change": 1, "drop": 1, "deep": {"keep": 1, "drop": 1}, "plain": 1})
    answer = lab.ask(PATCH, "data/a", {"data": {"change": 2, "drop": None, "deep": {"drop": None, "new": 2}, "plain": {"x": 1}}})
    assert answer.data["version"] == 2
    assert lab.get("a") == {"keep": 1, "change": 2, "deep": {"keep": 1, "new": 2}, "plain": {"x": 1}}
    assert lab.get("a", 1)["drop"] == 1


def test_patch_needs_something_to_patch(three: Lab) -> None:
    refusal = three.refused(PATCH, "data/b", {"data": {"k": "v"}})
    assert (refusal.status, refusal.data) == (404, None)
    assert three.refused(PATCH, "data/a", {}).errors == ["no data provided"]
    three.ask(UPDATE, "metadata/empty", {"max_versions": 1})
    assert three.refused(PATCH, "data/empty", {"data": {}}).status == 404
    three.ask(DELETE, "data/a")
    refusal = three.refused(PATCH, "data/a", {"data": {}})
    assert refusal.status == 404 and refusal.data is not None and refusal.data["version"] == 3 and refusal.data["deletion_time"] == T0
    three.ask(UPDATE, "destroy/a", {"versions": [3]})
    refusal = three.refused(PATCH, "data/a", {"data": {}})
    assert refusal.status == 404 and refusal.data is not None and refusal.data["destroyed"] is True


def test_patch_minds_cas(three: Lab) -> None:
    assert three.refused(PATCH, "data/a", {"data": {"k": 1}, "options": {"cas": 2}}).errors == [MISMATCH]
    assert three.ask(PATCH, "data/a", {"data": {"k": 1}, "options": {"cas": 3}}).data["version"] == 4
    assert three.get("a") == {"n": 3, "k": 1}


# RFC 7396, appendix A, as far as it is about objects
@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch(target: dict[str, Any], patch: dict[str, Any], result: dict[str, Any]) -> None:
    before = dict(target)
    assert merge_patch(target, patch) == result
    assert target == before


# Delete, undelete, destroy


def test_delete_hides_the_newest_version_and_tells_its_metadata(three: Lab) -> None:
    assert three.ask(DELETE, "data/a") is None
    refusal = three.refused(READ, "data/a")
    metadata = {"created_time": T0, "custom_metadata": None, "deletion_time": T0, "destroyed": False, "version": 3}
    assert (refusal.status, refusal.errors, refusal.data) == (404, [], {"data": None, "metadata": metadata})
    assert three.refused(READ, "subkeys/a").data == {"subkeys": None, "metadata": metadata}
    assert three.readable("a") == [1, 2]


def test_a_second_delete_keeps_the_first_time(three: Lab) -> None:
    three.ask(DELETE, "data/a")
    three.services.time += 60
    three.ask(DELETE, "data/a")
    three.ask(UPDATE, "delete/a", {"versions": [3, 2]})
    versions = three.metadata("a")["versions"]
    assert versions["3"]["deletion_time"] == T0
    assert versions["2"]["deletion_time"] == "2023-11-14T22:14:20Z"


@pytest.mark.parametrize("versions", [[1, 3], ["1", "3"], "1,3", [3, 1, 99, -1]])
def test_chosen_versions_are_deleted_and_undeleted(three: Lab, versions: Any) -> None:
    assert three.ask(UPDATE, "delete/a", {"versions": versions}) is None
    assert three.readable("a") == [2]
    assert three.ask(UPDATE, "undelete/a", {"versions": versions}) is None
    assert three.readable("a") == [1, 2, 3]
    assert three.metadata("a")["versions"]["1"]["deletion_time"] == ""
    assert list(three.metadata("a")["versions"]) == ["1", "2", "3"]


def test_destroyed_data_is_gone_for_good(three: Lab) -> None:
    assert three.ask(UPDATE, "destroy/a", {"versions": [2, 9]}) is None
    assert "version/a/2" not in three.view.entries
    refusal = three.refused(READ, "data/a", {"version": 2})
    assert refusal.status == 404 and refusal.data is not None
    assert (
        refusal.data["data"] is None and refusal.data["metadata"]["destroyed"] is True and refusal.data["metadata"]["deletion_time"] == ""
    )
    three.ask(UPDATE, "undelete/a", {"versions": [2]})
    three.ask(UPDATE, "delete/a", {"versions": [2]})
    assert three.metadata("a")["versions"]["2"] == {"created_time": T0, "deletion_time": "", "destroyed": True}
    assert three.readable("a") == [1, 3]


def test_undelete_does_not_touch_what_is_destroyed(three: Lab) -> None:
    three.ask(UPDATE, "delete/a", {"versions": [2]})
    three.ask(UPDATE, "destroy/a", {"versions": [2]})
    three.ask(UPDATE, "undelete/a", {"versions": [2]})
    assert three.metadata("a")["versions"]["2"] == {"created_time": T0, "deletion_time": T0, "destroyed": True}


@pytest.mark.parametrize(
    ("endpoint", "text"),
    [("delete", "No version number provided"), ("undelete", "No version number provided"), ("destroy", "no version number provided")],
)
def test_version_numbers_are_needed(three: Lab, endpoint: str, text: str) -> None:
    nothing: list[dict[str, Any]] = [{}, {"versions": []}, {"versions": ""}, {"versions": None}]
    for body in nothing:
        refusal = three.refused(UPDATE, f"{endpoint}/a", body)
        assert (refusal.status, refusal.errors) == (400, [text])
    assert three.refused(UPDATE, f"{endpoint}/a", {"versions": ["x"]}).status == 400
    assert three.readable("a") == [1, 2, 3]
    assert three.ask(UPDATE, f"{endpoint}/none", {"versions": [1]}) is None
    assert three.ask(DELETE, "data/none") is None
    assert three.refused(READ, "metadata/none").status == 404


def test_a_write_after_a_delete_counts_on(three: Lab) -> None:
    three.ask(DELETE, "data/a")
    assert three.put("a", {"n": 4}, cas=3)["version"] == 4
    assert three.get("a") == {"n": 4}


# How many versions are kept


def kept(lab: Lab, path: str) -> list[int]:
    """Numbers of the versions that lie in the storage; the metadata must agree."""
    numbers = sorted(int(entry.rpartition("/")[2]) for entry in lab.view.entries if entry.startswith(f"version/{path}/"))
    assert numbers == sorted(map(int, lab.metadata(path)["versions"]))
    return numbers


def test_ten_versions_are_kept(lab: Lab) -> None:
    for number in range(1, 16):
        lab.put("a", {"n": number})
    assert kept(lab, "a") == list(range(6, 16))
    metadata = lab.metadata("a")
    assert (metadata["current_version"], metadata["oldest_version"]) == (15, 6)
    assert lab.refused(READ, "data/a", {"version": 5}).data is None
    assert lab.get("a", 6) == {"n": 6}


def test_the_oldest_version_is_0_until_the_first_could_be_dropped(lab: Lab) -> None:
    lab.put("a", {})
    assert lab.metadata("a")["oldest_version"] == 0
    for _ in range(9):
        lab.put("a", {})
    assert (lab.metadata("a")["oldest_version"], len(kept(lab, "a"))) == (1, 10)


@pytest.mark.parametrize(("mount", "key", "expected"), [(3, 0, 3), (0, 2, 2), (3, 5, 5), (5, 2, 5), (1, 0, 1)])
def test_the_larger_limit_of_mount_and_key_holds(lab: Lab, mount: int, key: int, expected: int) -> None:
    lab.ask(UPDATE, "config", {"max_versions": mount})
    lab.ask(UPDATE, "metadata/a", {"max_versions": key})
    for _ in range(8):
        lab.put("a", {})
    assert kept(lab, "a") == list(range(9 - expected, 9))


def test_a_lower_limit_drops_several_at_the_next_write(lab: Lab) -> None:
    for _ in range(8):
        lab.put("a", {})
    lab.ask(UPDATE, "destroy/a", {"versions": [5]})
    lab.ask(UPDATE, "metadata/a", {"max_versions": 2})
    assert len(lab.metadata("a")["versions"]) == 8
    lab.put("a", {})
    assert kept(lab, "a") == [8, 9]
    lab.ask(UPDATE, "metadata/a", {"max_versions": 4})
    for _ in range(2):
        lab.put("a", {})
    assert kept(lab, "a") == [8, 9, 10, 11]


@pytest.mark.parametrize("place", ["config", "metadata/a"])
@pytest.mark.parametrize("number", [-1, 1 << 32, "many"])
def test_max_versions_must_make_sense(lab: Lab, place: str, number: Any) -> None:
    assert lab.refused(UPDATE, place, {"max_versions": number}).status == 400
    assert lab.view.entries == {}


# delete_version_after


@pytest.mark.parametrize(
    ("mount", "key", "seconds"),
    [("0s", "10s", 10), ("20s", "0s", 20), ("20s", "10s", 10), ("10s", "20s", 10), ("0s", "0s", 0), ("-1s", "10s", 0)],
)
def test_versions_end_by_themselves(lab: Lab, mount: str, key: str, seconds: int) -> None:
    lab.ask(UPDATE, "config", {"delete_version_after": mount})
    lab.ask(UPDATE, "metadata/a", {"delete_version_after": key})
    answer = lab.put("a", {"k": "v"})
    if not seconds:
        assert answer["deletion_time"] == ""
        lab.services.time += 1e6
        assert lab.get("a") == {"k": "v"}
        return
    assert answer["deletion_time"] == f"2023-11-14T22:13:{20 + seconds}Z"
    lab.services.time += seconds - 0.5
    assert lab.get("a") == {"k": "v"}
    lab.services.time += 0.5
    refusal = lab.refused(READ, "data/a")
    assert refusal.status == 404 and refusal.data is not None and refusal.data["metadata"]["deletion_time"] == answer["deletion_time"]
    assert lab.ask(DELETE, "data/a") is None
    assert lab.metadata("a")["versions"]["1"]["deletion_time"] == answer["deletion_time"]


def test_undelete_begins_the_time_anew(lab: Lab) -> None:
    lab.ask(UPDATE, "config", {"delete_version_after": "30s"})
    lab.put("a", {"k": "v"})
    lab.services.time += 100
    lab.ask(UPDATE, "undelete/a", {"versions": [1]})
    assert lab.get("a") == {"k": "v"}
    assert lab.metadata("a")["versions"]["1"]["deletion_time"] == "2023-11-14T22:15:30Z"
    lab.services.time += 30
    assert lab.refused(READ, "data/a").status == 404


def test_a_delete_before_its_time_counts_from_now(lab: Lab) -> None:
    lab.ask(UPDATE, "config", {"delete_version_after": "30s"})
    lab.put("a", {"k": "v"})
    lab.services.time += 1
    lab.ask(DELETE, "data/a")
    assert lab.metadata("a")["versions"]["1"]["deletion_time"] == "2023-11-14T22:13:21Z"
    assert lab.refused(READ, "data/a").status == 404


# Settings of the mount


def test_config_begins_empty_and_keeps_what_is_set(lab: Lab) -> None:
    assert lab.ask(READ, "config").data == {"max_versions": 0, "cas_required": False, "delete_version_after": "0s"}
    assert lab.ask(UPDATE, "config", {"max_versions": "17", "delete_version_after": "30m"}) is None
    assert lab.ask(UPDATE, "config", {"cas_required": True}) is None
    assert lab.ask(READ, "config").data == {"max_versions": 17, "cas_required": True, "delete_version_after": "30m0s"}
    lab.ask(UPDATE, "config", {"delete_version_after": "-5s"})
    assert lab.ask(READ, "config").data["delete_version_after"] == "-1s"
    lab.ask(UPDATE, "config", {"delete_version_after": 0, "cas_required": False})
    assert lab.ask(READ, "config").data == {"max_versions": 17, "cas_required": False, "delete_version_after": "0s"}
    assert lab.refused(UPDATE, "config", {"cas_required": "maybe"}).status == 400
    assert lab.refused(DELETE, "config").status == 405


# Metadata


def test_metadata_tells_everything_but_the_data(three: Lab) -> None:
    three.services.time += 1
    three.ask(UPDATE, "metadata/a", {"max_versions": 7, "delete_version_after": "3h25m19s", "custom_metadata": {"owner": "me"}})
    version = {"created_time": T0, "deletion_time": "", "destroyed": False}
    assert three.metadata("a") == {
        "cas_required": False,
        "created_time": T0,
        "current_version": 3,
        "custom_metadata": {"owner": "me"},
        "delete_version_after": "3h25m19s",
        "max_versions": 7,
        "oldest_version": 0,
        "updated_time": T0,
        "versions": {"1": version, "2": version, "3": version},
    }
    assert three.ask(READ, "data/a").data["metadata"]["custom_metadata"] == {"owner": "me"}
    assert three.put("a", {})["custom_metadata"] == {"owner": "me"}
    assert (three.metadata("a")["created_time"], three.metadata("a")["updated_time"]) == (T0, "2023-11-14T22:13:21Z")


def test_metadata_can_come_before_data(lab: Lab) -> None:
    assert lab.ask(UPDATE, "metadata/a", {"cas_required": True}) is None
    assert (lab.metadata("a")["versions"], lab.metadata("a")["current_version"], lab.metadata("a")["created_time"]) == ({}, 0, T0)
    assert lab.refused(READ, "data/a").data is None
    assert lab.put("a", {}, cas=0)["version"] == 1


def test_an_empty_metadata_write_does_nothing(lab: Lab) -> None:
    assert lab.ask(UPDATE, "metadata/a", {}) is None
    assert lab.refused(READ, "metadata/a").status == 404
    assert lab.refused(UPDATE, "metadata/", {"max_versions": 1}).errors == ["missing path"]
    assert lab.refused(UPDATE, "metadata/a", {"delete_version_after": "-1s"}).status == 400


def test_a_write_replaces_custom_metadata(lab: Lab) -> None:
    lab.ask(UPDATE, "metadata/a", {"custom_metadata": {"a": "1", "n": 2, "yes": True}, "max_versions": 4})
    assert lab.metadata("a")["custom_metadata"] == {"a": "1", "n": "2", "yes": "1"}
    lab.ask(UPDATE, "metadata/a", {"custom_metadata": {"b": "2"}})
    assert (lab.metadata("a")["custom_metadata"], lab.metadata("a")["max_versions"]) == ({"b": "2"}, 4)
    lab.ask(UPDATE, "metadata/a", {"custom_metadata": {}})
    assert lab.metadata("a")["custom_metadata"] is None


def test_a_patch_changes_only_what_it_names(three: Lab) -> None:
    three.ask(UPDATE, "metadata/a", {"custom_metadata": {"a": "1", "b": "2"}, "max_versions": 4, "cas_required": True})
    three.ask(PATCH, "metadata/a", {"custom_metadata": {"a": None, "c": "3"}, "delete_version_after": "10s"})
    metadata = three.metadata("a")
    assert metadata["custom_metadata"] == {"b": "2", "c": "3"}
    assert (metadata["max_versions"], metadata["cas_required"], metadata["delete_version_after"]) == (4, True, "10s")
    nulls = dict.fromkeys(("custom_metadata", "max_versions", "cas_required", "delete_version_after"))
    three.ask(PATCH, "metadata/a", nulls)
    metadata = three.metadata("a")
    assert metadata["custom_metadata"] is None
    assert (metadata["max_versions"], metadata["cas_required"], metadata["delete_version_after"]) == (0, False, "0s")
    assert (metadata["current_version"], len(metadata["versions"])) == (3, 3)
    assert three.refused(PATCH, "metadata/none", {"max_versions": 1}).status == 404


@pytest.mark.parametrize("operation", [UPDATE, PATCH])
@pytest.mark.parametrize(
    ("custom", "texts"),
    [
        ({f"k{n}": "v" for n in range(65)}, ["payload must contain at most 64 keys, provided 65"]),
        ({"k" * 129: "v"}, [f'length of key "{"k" * 129}" is 129 but must be 0 < len(key) <= 128']),
        ({"": "v"}, ['length of key "" is 0 but must be 0 < len(key) <= 128']),
        ({"k": "v" * 513}, ['length of value for key "k" is 513 but must be 0 < len(value) <= 512']),
        ({"k": ""}, ['length of value for key "k" is 0 but must be 0 < len(value) <= 512']),
        ({"k": "ü" * 257}, ['length of value for key "k" is 514 but must be 0 < len(value) <= 512']),
        ({"k": "a\tb"}, ['value for key "k" contains unprintable characters']),
        (
            {"k\u200b": "v", "": "v"},
            ['key "k\u200b" (k\u200b) contains unprintable characters', 'length of key "" is 0 but must be 0 < len(key) <= 128'],
        ),
        ({"k": "\ud800"}, ['value for key "k" contains unprintable characters']),
    ],
)
def test_custom_metadata_has_limits(lab: Lab, operation: str, custom: dict[str, str], texts: list[str]) -> None:
    lab.ask(UPDATE, "metadata/a", {"max_versions": 1})
    refusal = lab.refused(operation, "metadata/a", {"custom_metadata": custom})
    count = "1 error occurred" if len(texts) == 1 else f"{len(texts)} errors occurred"
    lines = "".join(f"\t* custom_metadata validation failed: {text}\n" for text in texts)
    assert (refusal.status, refusal.errors) == (400, [f"{count}:\n{lines}\n"])
    assert lab.metadata("a")["custom_metadata"] is None


def test_custom_metadata_up_to_the_limits(lab: Lab) -> None:
    full = {f"{n:0128}": "v" * 512 for n in range(64)}
    lab.ask(UPDATE, "metadata/a", {"custom_metadata": full})
    assert lab.metadata("a")["custom_metadata"] == full
    assert lab.refused(PATCH, "metadata/a", {"custom_metadata": {"one more": "v"}}).status == 400
    lab.ask(PATCH, "metadata/a", {"custom_metadata": {"one more": "v", f"{0:0128}": None}})
    assert len(lab.metadata("a")["custom_metadata"]) == 64


def test_custom_metadata_is_flat_text(lab: Lab) -> None:
    assert lab.refused(UPDATE, "metadata/a", {"custom_metadata": {"k": {"deep": "secret"}}}).errors == [
        "custom_metadata validation failed: value for key \"k\" expected type 'string'"
    ]
    assert lab.refused(UPDATE, "metadata/a", {"custom_metadata": "no map"}).status == 400
    assert "length of value" in lab.refused(UPDATE, "metadata/a", {"custom_metadata": {"k": None}}).errors[0]


def test_a_key_cannot_lift_the_mounts_cas(lab: Lab) -> None:
    lab.ask(UPDATE, "config", {"cas_required": True})
    text = '"cas_required" set to false, but is mandated by backend config. This value will be ignored.'
    for operation in (UPDATE, PATCH):
        answer = lab.ask(operation, "metadata/a", {"cas_required": False, "max_versions": 3})
        assert (answer.data, answer.warnings) == (None, [text])
    assert lab.metadata("a")["max_versions"] == 3
    assert lab.refused(UPDATE, "data/a", {"data": {}}).errors == [REQUIRED]
    assert lab.ask(UPDATE, "metadata/a", {"cas_required": True}) is None


def test_deleting_metadata_leaves_nothing(three: Lab) -> None:
    three.ask(UPDATE, "destroy/a", {"versions": [1]})
    three.put("b", {"k": "v"})
    assert three.ask(DELETE, "metadata/a") is None
    assert sorted(three.view.entries) == ["meta/b", "version/b/1"]
    assert three.ask(DELETE, "metadata/a") is None
    assert three.put("a", {}, cas=0)["version"] == 1


def test_listing(lab: Lab) -> None:
    for path in ("top", "dir/one", "dir/two/three", "dir"):
        lab.put(path, {})
    lab.ask(UPDATE, "metadata/only", {"max_versions": 1})
    lab.ask(DELETE, "data/top")
    assert lab.ask(LIST, "metadata").data == {"keys": ["dir", "dir/", "only", "top"]}
    assert lab.ask(LIST, "metadata/dir").data == {"keys": ["one", "two/"]}
    assert lab.ask(LIST, "metadata/none").data == {"keys": []}


# Subkeys


def test_subkeys_show_names_without_values(lab: Lab) -> None:
    lab.put("a", {"old": 1})
    lab.put("a", {"s": "secret", "l": [{"x": "secret"}], "e": {}, "d": {"x": "secret", "dd": {"y": 1}}, "n": None})
    answer = lab.ask(READ, "subkeys/a").data
    assert answer["subkeys"] == {"s": None, "l": None, "e": None, "d": {"x": None, "dd": {"y": None}}, "n": None}
    assert answer["metadata"] == lab.ask(READ, "data/a").data["metadata"]
    assert lab.ask(READ, "subkeys/a", {"version": "1"}).data["subkeys"] == {"old": None}
    assert lab.ask(READ, "subkeys/a", {"depth": "2"}).data["subkeys"]["d"] == {"x": None, "dd": None}
    assert lab.refused(UPDATE, "subkeys/a", {}).status == 405


@pytest.mark.parametrize(
    ("depth", "expected"),
    [(0, {"a": {"b": {"c": None}}}), (1, {"a": None}), (2, {"a": {"b": None}}), (3, {"a": {"b": {"c": None}}}), (-1, {"a": None})],
)
def test_depth_of_subkeys(depth: int, expected: dict[str, Any]) -> None:
    assert without_values({"a": {"b": {"c": 1}}}, depth) == expected


def nested(depth: int, inner: Any) -> dict[str, Any]:
    for _ in range(depth):
        inner = {"a": inner}
    return dict(inner)


def test_depth_does_not_matter_to_patch_and_subkeys() -> None:
    def innermost(found: Any) -> Any:
        while isinstance(found, dict):
            found = found["a"]
        return found

    assert innermost(without_values(nested(5000, "secret"), 0)) is None
    assert innermost(merge_patch(nested(5000, 1), nested(5000, 2))) == 2


# Paths that are none


@pytest.mark.parametrize(("operation", "command"), [(READ, "get"), (UPDATE, "put"), (PATCH, "patch"), (DELETE, "delete"), (LIST, "list")])
@pytest.mark.parametrize("path", ["a", "a/b", "metadatas/a", ""])
def test_a_version_1_path_gets_advice(three: Lab, operation: str, command: str, path: str) -> None:
    refusal = three.refused(operation, path, {"k": "v"})
    assert (refusal.status, refusal.errors) == (404, [])
    assert refusal.warnings == [
        "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use. "
        f"If using the Vault CLI, use 'vault kv {command}' for this operation."
    ]


@pytest.mark.parametrize("root", ["metadata", "data", "delete", "undelete", "destroy"])
def test_roots_can_only_be_listed(three: Lab, root: str) -> None:
    for operation in (READ, UPDATE, DELETE, PATCH):
        refusal = three.refused(operation, root)
        assert refusal.status == 404
        assert refusal.warnings == ["Non-listing operations on the root of a K/V v2 mount are not supported."]
    if root == "metadata":
        assert three.ask(LIST, root).data == {"keys": ["a"]}
    else:
        assert three.refused(LIST, root).status == 405


# Upgrade


def test_upgrade_makes_version_1_of_every_entry() -> None:
    lab = Lab()
    old = KV1(lab.services, Mount("secret/", "kv"))
    for path in ("a", "dir/b", "dir", "meta/a", "data/data/x", "config"):
        ask(old, UPDATE, path, {"path": path}, lab.view)
    upgrade(lab.view, lab.services.time)
    for path in ("a", "dir/b", "dir", "meta/a", "data/data/x", "config"):
        assert lab.get(path) == lab.get(path, 1) == {"path": path}
        assert lab.metadata(path)["created_time"] == T0
        assert lab.put(path, {}, cas=1)["version"] == 2
    assert lab.ask(LIST, "metadata").data == {"keys": ["a", "config", "data/", "dir", "dir/", "meta/"]}
    assert not [entry for entry in lab.view.entries if entry.startswith("data/")]
    assert lab.ask(READ, "config").data["max_versions"] == 0


def test_upgrade_of_nothing_and_again() -> None:
    lab = Lab()
    upgrade(lab.view, lab.services.time)
    assert lab.view.entries == {}
    lab.put("a", {"k": "v"})
    before = dict(lab.view.entries)
    upgrade(lab.view, lab.services.time)
    assert lab.view.entries == before


# Through the whole of Vault

MERGE = {"Content-Type": "application/merge-patch+json"}


@pytest.fixture(scope="module")
def vault() -> Iterator[VaultLab]:
    vault = VaultLab()
    vault.ok("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "2"}})
    yield vault
    vault.close()


def test_http_write_read_patch_delete(vault: VaultLab) -> None:
    answer = vault.ok("POST", "kv/data/http/a", {"data": {"k": "v"}, "options": {}})
    assert (answer["data"]["version"], answer["mount_type"], answer["warnings"]) == (1, "kv", None)
    assert vault.ok("PATCH", "kv/data/http/a", {"data": {"n": 1}}, headers=MERGE)["data"]["version"] == 2
    assert vault.ok("GET", "kv/data/http/a")["data"]["data"] == {"k": "v", "n": 1}
    assert vault.ok("GET", "kv/data/http/a?version=1")["data"]["data"] == {"k": "v"}
    assert vault.ok("LIST", "kv/metadata/http")["data"] == {"keys": ["a"]}
    assert vault.ok("GET", "kv/metadata?list=true")["data"] == {"keys": ["http/"]}
    assert vault.call("DELETE", "kv/data/http/a") == (204, None)
    status, body = vault.call("GET", "kv/data/http/a")
    assert (status, body["data"]["data"], body["data"]["metadata"]["version"], "errors" in body) == (404, None, 2, False)
    assert vault.call("PUT", "kv/undelete/http/a", {"versions": [2]}) == (204, None)
    assert vault.ok("GET", "kv/data/http/a")["data"]["metadata"]["deletion_time"] == ""
    assert vault.call("DELETE", "kv/metadata/http/a") == (204, None)
    assert vault.refused("GET", "kv/metadata/http/a") == (404, [])
    assert vault.refused("LIST", "kv/metadata") == (404, [])


def test_http_refusals(vault: VaultLab) -> None:
    assert vault.refused("POST", "kv/data/r", {}) == (400, ["no data provided"])
    assert vault.refused("POST", "kv/data/r", {"data": {}, "options": {"cas": 1}}) == (400, [MISMATCH])
    assert vault.refused("POST", "kv/data/r/", {"data": {}}) == (400, ["cannot write to a path ending in '/'"])
    assert vault.refused("PATCH", "kv/data/r", {"data": {}})[0] == 415
    status, body = vault.call("GET", "kv/r")
    assert status == 404 and "'vault kv get'" in body["warnings"][0]


def test_http_create_and_update_are_different_rights(vault: VaultLab) -> None:
    vault.ok("PUT", "sys/policies/acl/maker", {"policy": 'path "kv/data/*" { capabilities = ["create"] }'})
    token = vault.ok("POST", "auth/token/create", {"policies": ["maker"]})["auth"]["client_token"]
    assert vault.ok("POST", "kv/data/made", {"data": {}}, token)["data"]["version"] == 1
    assert vault.refused("POST", "kv/data/made", {"data": {}}, token)[0] == 403


def test_http_versions_end_by_the_clock(vault: VaultLab) -> None:
    vault.ok("POST", "kv/metadata/timed", {"delete_version_after": "60s"})
    vault.ok("POST", "kv/data/timed", {"data": {"k": "v"}})
    assert vault.call("GET", "kv/data/timed")[0] == 200
    vault.clock.advance(61)
    assert vault.call("GET", "kv/data/timed")[0] == 404


def test_http_a_mount_is_upgraded(vault: VaultLab) -> None:
    vault.ok("POST", "sys/mounts/old", {"type": "kv", "options": {"version": "1"}})
    vault.ok("POST", "old/dir/a", {"k": "v"})
    vault.ok("POST", "sys/mounts/old/tune", {"options": {"version": "2"}})
    assert vault.ok("GET", "old/data/dir/a")["data"]["data"] == {"k": "v"}
    assert vault.call("GET", "old/dir/a")[0] == 404
