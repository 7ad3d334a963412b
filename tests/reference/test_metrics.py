"""Metrics against independent implementations: scikit-learn, SciPy, NumPy, librosa."""

import librosa
import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn import metrics as sklearn_metrics

from foley.metrics import accuracy, confusion, log_loss
from foley.metrics.base import Item, MetricConfig
from foley.metrics.correlation import normalised_correlation
from foley.metrics.envelope import rms_curve
from foley.metrics.statistics import weighted_medians, wilson_interval

CLASSES = ("a", "b", "c", "d")


@pytest.fixture(scope="module")
def items() -> list[Item]:
    generator = np.random.default_rng(3)
    table = generator.dirichlet(np.ones(4), 80)
    labels = generator.choice(CLASSES, 80)
    return [
        Item(f"{number:03d}", str(label), "test", classes=CLASSES, probabilities=row)
        for number, (label, row) in enumerate(zip(labels, table, strict=True))
    ]


def test_class_scores_agree_with_scikit_learn(items: list[Item]) -> None:
    truth = np.array([CLASSES.index(one.label) for one in items])
    table = np.array([one.probabilities for one in items])
    guess = table.argmax(axis=1)
    found = accuracy.score(items, MetricConfig(), 0)
    assert found.value == pytest.approx(sklearn_metrics.accuracy_score(truth, guess))
    average = found.parts["test"].parts["class_average"]
    assert average.value == pytest.approx(sklearn_metrics.balanced_accuracy_score(truth, guess))
    loss = log_loss.score(items, log_loss.Config(), 0)
    assert loss.value == pytest.approx(sklearn_metrics.log_loss(truth, table, labels=range(4)))
    matrix = confusion.score(items, MetricConfig(), 0)
    assert matrix.data["counts"] == sklearn_metrics.confusion_matrix(truth, guess).tolist()


@pytest.mark.parametrize(("n_hits", "n"), [(0, 5), (3, 7), (40, 41), (50, 50)])
def test_wilson_interval_agrees_with_scipy(n_hits: int, n: int) -> None:
    theirs = binomtest(n_hits, n).proportion_ci(0.9, method="wilson")
    assert wilson_interval(n_hits, n, 0.9) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_weighted_medians_agree_with_repetition() -> None:
    generator = np.random.default_rng(0)
    groups = [generator.standard_normal(size) for size in (0, 3, 4, 1, 2)]
    weights = generator.integers(0, 4, (50, 5)) + np.array([0, 0, 0, 0, 1])
    expected = [
        np.median(np.concatenate([np.repeat(group, count) for group, count in zip(groups, row, strict=True)]))
        for row in weights
    ]
    np.testing.assert_allclose(weighted_medians(groups, weights), expected, atol=1e-12)


def test_correlation_agrees_with_numpy() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.standard_normal(50), generator.standard_normal(40)
    expected = np.correlate(first, second, "full") / np.linalg.norm(first) / np.linalg.norm(second)
    np.testing.assert_allclose(normalised_correlation(first, second), expected, atol=1e-12)


def test_rms_curve_agrees_with_librosa() -> None:
    wave = np.random.default_rng(0).standard_normal(4000)
    ours = rms_curve(wave, 1000, 0.512, 0.128)
    theirs = librosa.feature.rms(y=wave, frame_length=512, hop_length=128, center=True)[0]
    np.testing.assert_allclose(ours, theirs[: len(ours)], rtol=1e-5)
