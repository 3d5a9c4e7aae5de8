"""Shamir's secret sharing: the field's arithmetic against known answers, every subset of shares, malformed shares."""

from __future__ import annotations

import itertools
import random

import pytest

from haechi.vault.shamir import combine, inverse, multiply, split

SECRET = bytes(range(32))


@pytest.mark.parametrize(
    ("a", "b", "product"),
    [
        (0x57, 0x83, 0xC1),  # FIPS 197, 4.2
        (0x57, 0x13, 0xFE),  # FIPS 197, 4.2.1
        (0x57, 0x02, 0xAE),
        (0x80, 0x02, 0x1B),
        (0x53, 0xCA, 0x01),  # a pair of inverses
        (0xFF, 0xFF, 0x13),
        (0x00, 0x53, 0x00),
        (0x01, 0x53, 0x53),
    ],
)
def test_products_are_those_of_the_field_with_polynomial_11b(a: int, b: int, product: int) -> None:
    assert multiply(a, b) == multiply(b, a) == product


def test_every_number_but_zero_has_its_inverse() -> None:
    assert inverse(0) == 0 and inverse(0x53) == 0xCA
    assert all(multiply(a, inverse(a)) == 1 for a in range(1, 256))


def test_products_distribute_over_sums() -> None:
    numbers = random.Random(1)
    for _ in range(2000):
        a, b, c = (numbers.randrange(256) for _ in range(3))
        assert multiply(a, b ^ c) == multiply(a, b) ^ multiply(a, c)
        assert multiply(a, multiply(b, c)) == multiply(multiply(a, b), c)


def test_shares_that_another_implementation_made_combine() -> None:
    # y = 0x2A + 0x05 x + 0x07 x^2 by hand, at x = 1, 2, 3
    shares = [bytes([0x2A ^ multiply(5, x) ^ multiply(7, multiply(x, x)), x]) for x in (1, 2, 3)]
    assert shares == [bytes([0x28, 1]), bytes([0x3C, 2]), bytes([0x3E, 3])]
    assert combine(shares) == b"\x2a"


def test_all_sets_of_three_of_five_in_every_order_give_the_secret() -> None:
    shares = split(SECRET, 5, 3)
    assert len(shares) == 5 and {len(share) for share in shares} == {33}
    assert len({share[-1] for share in shares}) == 5 and 0 not in {share[-1] for share in shares}
    for chosen in itertools.permutations(shares, 3):
        assert combine(chosen) == SECRET
    for more in (4, 5):
        for several in itertools.combinations(shares, more):
            assert combine(several) == SECRET


def test_fewer_shares_than_the_threshold_tell_nothing() -> None:
    shares = split(SECRET, 5, 3)
    assert all(combine(pair) != SECRET for pair in itertools.permutations(shares, 2))
    seen = {combine(split(b"\x00", 5, 3)[:2])[0] for _ in range(1200)}
    assert len(seen) > 220  # of one secret byte two shares combine to anything


@pytest.mark.parametrize(("shares", "threshold"), [(2, 2), (255, 2), (255, 255), (16, 9)])
def test_the_extremes_work(shares: int, threshold: int) -> None:
    made = split(SECRET, shares, threshold)
    assert len(made) == shares
    assert combine(made[-threshold:]) == SECRET


@pytest.mark.parametrize(("shares", "threshold"), [(1, 1), (5, 1), (3, 4), (256, 3), (0, 0), (5, -1)])
def test_impossible_numbers_are_refused(shares: int, threshold: int) -> None:
    with pytest.raises(ValueError, match="threshold must be 2 to the number of shares"):
        split(SECRET, shares, threshold)


def test_an_empty_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot split an empty secret"):
        split(b"", 3, 2)


def test_malformed_shares_are_refused() -> None:
    first, second, third = list(split(SECRET, 3, 3))
    with pytest.raises(ValueError, match="less than two parts"):
        combine([first])
    with pytest.raises(ValueError, match="less than two parts"):
        combine([])
    with pytest.raises(ValueError, match="duplicate part detected"):
        combine([first, second, first])
    with pytest.raises(ValueError, match="duplicate part detected"):  # another text, but the same place
        combine([first, second, bytes(32) + first[-1:]])
    with pytest.raises(ValueError, match="all parts must be the same length"):
        combine([first, second, third[1:]])
    with pytest.raises(ValueError, match="at least two bytes"):
        combine([b"\x01", b"\x02"])
    with pytest.raises(ValueError, match="invalid part detected"):  # the place 0 is the secret's own
        combine([first, second, SECRET + b"\x00"])


def test_a_share_with_one_wrong_bit_gives_another_secret() -> None:
    shares = split(SECRET, 3, 3)
    for at in range(33):
        wrong = bytearray(shares[0])
        wrong[at] ^= 0x80
        if wrong[-1] in (0, shares[1][-1], shares[2][-1]):
            continue
        assert combine([bytes(wrong), *shares[1:]]) != SECRET
