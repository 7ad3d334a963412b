"""The metric cross_entropy: a mean of what models said, by split and class, in nats."""

import math

import pytest

from foley.errors import StoreError
from foley.metrics.base import Item
from foley.metrics.cross_entropy import BITS, Config, score


def item(number: int, split: str, value: float | None, label: str = "rain") -> Item:
    return Item(f"{split}{number}", label, split, recording_id=f"r{number}", cross_entropy=value)


def test_the_mean_of_each_split_with_its_interval() -> None:
    items = [item(number, "test", float(number)) for number in range(1, 5)]
    items += [item(number, "train", 1.0) for number in range(3)]
    items.append(item(9, "test", 6.0, "fire"))
    found = score(items, Config(), 0)
    assert (found.value, found.n, found.unit) == (pytest.approx(3.2), 5, "nats")
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert found.ci_low < 3.2 < found.ci_high
    assert found.parts["train"].value == 1.0
    assert found.parts["test"].parts["class/fire"].value == 6.0
    assert found.parts["test"].parts["class/rain"].value == 2.5
    assert math.log(2) * BITS == pytest.approx(1)


def test_systems_without_a_likelihood_have_none() -> None:
    found = score([item(1, "test", None), item(1, "train", None)], Config(), 0)
    assert found.value is None
    assert "no likelihood" in found.note
    assert score([], Config(), 0).note == "no clip"


@pytest.mark.parametrize("bad", [None, math.inf, math.nan])
def test_a_missing_or_infinite_value_is_named(bad: float | None) -> None:
    with pytest.raises(StoreError, match="test2"):
        score([item(1, "test", 1.0), item(2, "test", bad)], Config(), 0)
