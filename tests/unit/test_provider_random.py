"""The random provider, in Python and with the real terraform."""

from __future__ import annotations

import base64
import string
from pathlib import Path

import pytest

from haechi.provider.random import PROVIDER, strings
from haechi.provider.random.identifiers import ID
from haechi.provider.resource import Data, Problem
from tests.unit.provider_bench import Terraform

CONFIG = """
terraform {
  required_providers {
    random = {
      source  = "hashicorp/random"
      version = "~> 3.0"
    }
  }
}
resource "random_password" "p" {
  length           = 20
  override_special = "!@"
  min_numeric      = 3
  keepers          = { run = var.run }
}
variable "run" {
  default = "1"
}
resource "random_string" "s" {
  length  = 8
  special = false
  number  = false
}
resource "random_id" "i" {
  byte_length = 8
  prefix      = "a-"
}
resource "random_integer" "n" {
  min = 1
  max = 3
}
resource "random_pet" "pet" {
  length = 3
  prefix = "web"
}
resource "random_uuid" "u" {}
resource "random_shuffle" "s" {
  input        = ["a", "b", "c"]
  result_count = 2
}
"""


def test_with_terraform(tmp_path: Path) -> None:
    terraform = Terraform(tmp_path, {})
    terraform.write(CONFIG)
    terraform.init()
    shown = terraform.apply()
    state = terraform.state()
    password = state["random_password.p"]["result"]
    assert password not in shown and len(password) == 20
    assert sum(c in string.digits for c in password) >= 3
    assert state["random_password.p"]["bcrypt_hash"].startswith("$2a$10$")
    assert set(state["random_string.s"]["result"]) <= set(string.ascii_letters)
    i = state["random_id.i"]
    assert i["hex"] == "a-" + base64.urlsafe_b64decode(i["id"] + "=").hex()
    assert len(set(state["random_shuffle.s"]["result"])) == 2
    assert state["random_pet.pet"]["id"].count("-") == 3
    terraform.plan_is_empty()
    terraform.apply("-var", "run=2")
    assert terraform.state()["random_password.p"]["result"] != password
    assert terraform.state()["random_uuid.u"] == state["random_uuid.u"]
    terraform.reimport("random_uuid.u", state["random_uuid.u"]["id"])
    terraform.plan_is_empty("-var", "run=2")
    terraform.destroy()


def test_a_class_with_nothing_is_refused() -> None:
    values = {"length": 4, "special": False, "numeric": False, "lower": False, "upper": False, "override_special": None}
    minima = dict.fromkeys(("min_special", "min_numeric", "min_lower", "min_upper"), 0)
    with pytest.raises(Problem):
        strings.generate({**values, **minima})
    assert set(strings.generate({**values, **minima, "min_numeric": 4})) <= set(string.digits)


def test_bcrypt_checks_out() -> None:
    import ctypes

    crypt = ctypes.CDLL("libcrypt.so.1").crypt
    crypt.restype, crypt.argtypes = ctypes.c_char_p, [ctypes.c_char_p, ctypes.c_char_p]
    made = strings.bcrypt("sesame")
    assert crypt(b"sesame", made.encode()) == made.encode()
    assert crypt(b"Sesame", made.encode()) != made.encode()


def test_import_of_an_id() -> None:
    assert ID.import_id is not None
    values = ID.import_id("p-,AQI")
    assert values["hex"] == "p-0102" and values["byte_length"] == 2 and values["dec"] == "p-258"


def test_a_seed_repeats() -> None:
    shuffle = PROVIDER.resources["random_shuffle"]
    results = []
    for seed in ("one", "one", "two"):
        d = Data(shuffle.schema(), {"input": list("abcdefgh"), "seed": seed})
        shuffle.create(None, d)
        results.append(d["result"])
    assert results[0] == results[1] != results[2]
