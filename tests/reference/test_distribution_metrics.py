"""Scores of whole sets of sounds against torchmetrics, brute force and known answers."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import linalg, stats

from foley.errors import StoreError
from foley.features.torchvision_shim import declare_missing_operators
from foley.metrics import fad, fid, frechet, inception_score, kl, ndb
from foley.metrics.base import Item, Reference, Score

LABELS = ("clock", "rain", "typing")


def torchmetrics_of(name: str) -> type:
    """A metric class of torchmetrics, which imports torchvision."""
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        declare_missing_operators()
    from torchmetrics.image import fid as their_fid
    from torchmetrics.image import inception as their_inception

    found: type = getattr(their_fid if name.startswith("Frechet") else their_inception, name)
    return found


class Given(torch.nn.Module):
    """A network whose features are its input."""

    num_features = 8

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values


def features(seed: int, n: int, dim: int, shift: float = 0.0) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, dim)) @ rng.standard_normal((dim, dim)) / np.sqrt(dim) + shift


def run(
    made: NDArray[np.floating],
    recorded: NDArray[np.floating],
    *,
    name: str = "embedding",
    judgement: NDArray[np.floating] | None = None,
    wanted: NDArray[np.floating] | None = None,
    labels: tuple[str, ...] = LABELS,
) -> list[Item]:
    """Test clips of a system, two a recording, classes in turn, and training clips to compare with."""
    train = {f"t{number:03d}": row for number, row in enumerate(recorded)}
    test = {f"c{number:03d}": row for number, row in enumerate(made)}
    truth = dict(zip(test, wanted if wanted is not None else made, strict=True))

    def read(clip_id: str, what: str) -> NDArray[np.floating]:
        if what == "probabilities":
            return truth[clip_id]
        return train[clip_id] if clip_id in train else truth[clip_id]

    ids = (*train, *test)
    reference = Reference(
        clip_ids=ids,
        labels=tuple(labels[int(one[1:]) % len(labels)] for one in ids),
        splits=tuple("train" if one in train else "test" for one in ids),
        read=read,
    )
    return [
        Item(
            clip_id=clip_id,
            label=labels[number % len(labels)],
            split="test",
            recording_id=f"r{number % len(labels)}{number // (2 * len(labels))}",
            classes=LABELS,
            judgement=None if judgement is None else judgement[number],
            load_heard=lambda what, row=row: {name: row}[what],
            reference=reference,
        )
        for number, (clip_id, row) in enumerate(test.items())
    ]


def posteriors(seed: int, n: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).dirichlet([0.3] * 3, n)


# --- Frechet distances -----------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "m"), [(60, 40), (400, 90)])
def test_fid_equals_torchmetrics(n: int, m: int) -> None:
    recorded, made = features(0, n, 8), features(1, m, 8, shift=0.3)
    theirs = torchmetrics_of("FrechetInceptionDistance")(feature=Given(), input_img_size=(8,))
    theirs.set_dtype(torch.float64)
    theirs.update(torch.from_numpy(recorded), real=True)
    theirs.update(torch.from_numpy(made), real=False)
    score = fid.score(run(made, recorded), fid.Config(), 0)
    assert score.value == pytest.approx(float(theirs.compute()), rel=1e-4)
    assert score.n == m
    assert score.ci_low is not None
    assert 0 < score.ci_low < score.value < score.ci_high
    assert score.note == ""


def test_frechet_distance_by_the_published_formula() -> None:
    first, second = features(2, 50, 6), features(3, 30, 6, shift=1.0)
    covariances = [np.cov(one, rowvar=False) for one in (first, second)]
    root = linalg.sqrtm(covariances[0] @ covariances[1]).real
    wanted = np.square(first.mean(0) - second.mean(0)).sum() + np.trace(sum(covariances) - 2 * root)
    assert frechet.frechet_distance(first, second) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("n", [3, 50])
def test_equal_sets_are_no_distance_apart(n: int) -> None:
    values = features(4, n, 20)
    assert frechet.frechet_distance(values, values) == pytest.approx(0, abs=1e-8)


def test_weighted_sets_are_sets_with_repetitions() -> None:
    first, second = features(5, 30, 5), features(6, 12, 5)
    weights = np.random.default_rng(0).integers(0, 4, (6, 12))
    found = frechet.frechet_distances(first, second, weights)
    wanted = [frechet.frechet_distance(first, np.repeat(second, row, axis=0)) for row in weights]
    np.testing.assert_allclose(found, wanted, rtol=1e-9)


@pytest.mark.parametrize("kind", ["few", "constant", "one class"])
def test_degenerate_sets_have_finite_distances(kind: str) -> None:
    recorded, made = features(7, 40, 30), features(8, 6, 30)
    if kind == "constant":
        recorded, made = np.ones((40, 30)), np.zeros((6, 30))
    score = fid.score(
        run(made, recorded, labels=LABELS[:1] if kind == "one class" else LABELS), fid.Config(), 0
    )
    assert score.value is not None
    assert np.isfinite(score.value)
    assert "6 clips for 30 dimensions" in score.note
    if kind == "constant":
        assert score.value == pytest.approx(30)


def test_a_single_clip_has_no_distance() -> None:
    score = fid.score(run(features(0, 1, 4), features(1, 9, 4), labels=LABELS[:1]), fid.Config(), 0)
    assert (score.value, score.note) == (None, "needs two clips or more")


def test_the_reference_may_be_the_very_clips() -> None:
    made, recorded = features(0, 30, 4), features(1, 90, 4)
    assert fid.score(run(made, recorded), fid.Config(reference="test"), 0).value == pytest.approx(0, abs=1e-8)
    assert fid.score(run(made, recorded), fid.Config(), 0).value > 0.1


def test_fad_compares_principal_components() -> None:
    recorded, made = features(0, 90, 40), features(1, 30, 40, shift=0.2)
    items = run(made, recorded, name="effects")
    whole = fad.score(items, fad.Config(n_components=None), 0)
    assert whole.value == pytest.approx(frechet.frechet_distance(recorded, made))
    part = fad.score(items, fad.Config(n_components=5), 0)
    covariance = np.cov(recorded, rowvar=False)
    basis = linalg.eigh(covariance)[1][:, -5:]
    assert part.value == pytest.approx(frechet.frechet_distance(recorded @ basis, made @ basis))
    assert part.value < whole.value
    assert part.note == ""


# --- inception score -------------------------------------------------------------------------------


def test_inception_score_equals_torchmetrics() -> None:
    table = posteriors(0, 50)
    theirs = torchmetrics_of("InceptionScore")(feature=Given(), splits=1, normalize=False)
    theirs.update(torch.log(torch.from_numpy(table)).float())
    score = inception_score.score(run(table, table, judgement=table), inception_score.Config(), 0)
    assert score.value == pytest.approx(float(theirs.compute()[0]), rel=1e-5)
    assert score.ci_low is not None
    assert 1 <= score.ci_low < score.value < score.ci_high


def test_inception_score_has_known_answers() -> None:
    every = np.tile(np.eye(3), (4, 1))
    one = np.tile(np.eye(3)[0], (12, 1))
    unsure = np.full((12, 3), 1 / 3)
    values = [
        inception_score.score(run(table, table, judgement=table), inception_score.Config(), 0).value
        for table in (every, one, unsure)
    ]
    assert values == pytest.approx([3, 1, 1])


def test_weights_are_repetitions() -> None:
    table = posteriors(1, 10)
    weights = np.random.default_rng(0).integers(0, 3, (5, 10))
    wanted = [
        inception_score.inception_scores(np.repeat(table, row, axis=0), np.ones((1, row.sum())))[0]
        for row in weights
    ]
    np.testing.assert_allclose(inception_score.inception_scores(table, weights), wanted)


# --- bins ------------------------------------------------------------------------------------------


def brute_force_ndb(own: NDArray[np.intp], other: NDArray[np.intp], k: int) -> tuple[int, float]:
    """Two-proportion z-test bin by bin, and the divergence from its definition."""
    different = 0
    first, second = [], []
    for number in range(k):
        a, b = sum(own == number), sum(other == number)
        p, q = a / len(own), b / len(other)
        first.append(p)
        second.append(q)
        pooled = (a + b) / (len(own) + len(other))
        error = (pooled * (1 - pooled) * (1 / len(own) + 1 / len(other))) ** 0.5
        if error > 0 and 2 * stats.norm.sf(abs(p - q) / error) < 0.05:
            different += 1
    middle = [(p + q) / 2 for p, q in zip(first, second, strict=True)]
    divergence = (stats.entropy(first, middle) + stats.entropy(second, middle)) / 2
    return different, divergence


def clusters(seed: int, n: int, shares: list[float]) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    centres = 10 * np.random.default_rng(99).standard_normal((len(shares), 4))
    return centres[rng.choice(len(shares), n, p=shares)] + 0.1 * rng.standard_normal((n, 4))


def test_ndb_equals_brute_force() -> None:
    recorded, made = clusters(0, 200, [0.4, 0.3, 0.2, 0.1]), clusters(1, 60, [0.05, 0.35, 0.5, 0.1])
    own, other = ndb.bin_sets(recorded, made, 4, seed=0)
    centres = np.array([recorded[own == number].mean(axis=0) for number in range(4)])
    apart = [[np.linalg.norm(row - centre) for centre in centres] for row in made]
    np.testing.assert_array_equal(other, np.argmin(apart, axis=1))
    assert len({tuple(np.round(centre)) for centre in centres}) == 4
    score = ndb.score(run(made, recorded, name="sketch"), ndb.Config(k=4), 0)
    different, divergence = brute_force_ndb(own, other, 4)
    assert score.value == different
    assert 1 <= different <= 3
    assert score.parts["share"].value == different / 4
    assert score.parts["divergence"].value == pytest.approx(divergence)
    assert score.ci_low is not None
    assert 0 <= score.ci_low <= score.value <= score.ci_high <= 4


def test_classes_are_binned_on_their_own_with_fewer_bins() -> None:
    recorded, made = clusters(0, 60, [0.5, 0.5]), clusters(1, 30, [0.5, 0.5])
    score = ndb.score(run(made, recorded, name="sketch"), ndb.Config(k=10), 0)
    assert score.note == "6 bins"
    of_class = [score.parts[f"class/{label}"] for label in LABELS]
    assert [part.note for part in of_class] == ["2 bins"] * 3
    assert score.parts["class_average"].value == pytest.approx(np.mean([part.value for part in of_class]))
    few = ndb.score(run(made, recorded[:8], name="sketch"), ndb.Config(k=10), 0)
    assert few.value is None
    assert few.note == "8 training clips are too few for two bins"
    assert "too few" in few.parts["class/rain"].note


def test_a_system_that_makes_one_sound_differs_in_many_bins() -> None:
    recorded = clusters(0, 300, [0.1] * 10)
    score = ndb.score(run(np.repeat(recorded[:1], 90, axis=0), recorded, name="sketch"), ndb.Config(k=10), 0)
    assert score.value == 10
    assert score.parts["divergence"].value > 0.4


def test_more_than_a_thousand_dimensions_are_thinned() -> None:
    rng = np.random.default_rng(0)
    recorded, made = rng.standard_normal((40, 1200)), rng.standard_normal((10, 1200))
    recorded[:20] += 5
    made[:5] += 5
    own, other = ndb.bin_sets(recorded, made, 2, seed=0)
    assert len(set(own[:20])) == len(set(own[20:])) == 1
    assert set(other[:5]) == set(own[:20])
    again = ndb.bin_sets(recorded, made, 2, seed=0)
    np.testing.assert_array_equal(again[1], other)
    assert ndb.bin_sets(recorded, made, 2, seed=0, whiten=True)[1][0] in (0, 1)


def test_shares_of_nothing_and_of_all_do_not_differ() -> None:
    assert not ndb.different_bins(np.array([5, 0]), np.array([7, 0]), 0.05).any()


def test_sets_that_do_not_vary_have_a_score() -> None:
    made, recorded = np.zeros((12, 4)), np.zeros((60, 4))
    with pytest.warns(Warning, match="distinct clusters"):
        score = ndb.score(run(made, recorded, name="sketch"), ndb.Config(k=4), 0)
    assert score.value == 0


# --- divergence of posteriors ----------------------------------------------------------------------


def test_divergence_has_known_answers() -> None:
    wanted = np.array([[1.0, 0, 0], [0.5, 0.5, 0], [0.2, 0.3, 0.5]])
    made = np.array([[0.25, 0.75, 0], [0.5, 0.5, 0], [0.5, 0.3, 0.2]])
    known = [np.log(4), 0, stats.entropy(wanted[2], made[2])]
    np.testing.assert_allclose(kl.divergences(wanted, made, 1e-12), known, atol=1e-9)
    score = kl.score(run(made, made, judgement=made, wanted=wanted), kl.Config(floor=1e-12), 0)
    assert score.value == pytest.approx(np.mean(known))
    assert score.parts["class/clock"].value == pytest.approx(np.log(4))
    assert kl.divergences(np.eye(3), np.roll(np.eye(3), 1, axis=1), 1e-6).max() < 14


# --- what is missing -------------------------------------------------------------------------------


@pytest.mark.parametrize("module", [fid, fad, ndb, kl])
def test_what_is_missing_is_named(module: object) -> None:
    score: Callable[..., Score] = module.score  # type: ignore[attr-defined]
    config = module.Config()  # type: ignore[attr-defined]
    items = [
        Item(f"c{number}", "clock", "test", classes=LABELS, judgement=np.eye(3)[0]) for number in range(3)
    ]
    with pytest.raises(StoreError, match="no recorded sound to compare with"):
        score(items, config, 0)
    assert score([], config, 0).value is None
