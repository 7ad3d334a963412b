"""Rain, fire, waterfall and car: what each staged performance promises."""

from types import ModuleType

import numpy as np
import pytest

from foley.datasets.procedural.canvas import Canvas
from foley.datasets.procedural.classes import car, fire, rain, waterfall
from foley.datasets.procedural.performance import SAMPLE_RATE_HZ, Event, Performance, Stage
from foley.datasets.procedural.scenery import baked, fractal, swell

CLASSES = {"rain": rain, "fire": fire, "waterfall": waterfall, "car": car}
SEEDS = (0, 1, 2)
DURATION_S = 5.0
HEIGHT_PX = 120


def staged(module: ModuleType, seed: int, held_out: bool = False) -> Performance:
    """One performance of `module`."""
    stage = Stage(duration_s=DURATION_S, aspect=4 / 3, held_out=held_out)
    performance: Performance = module.stage(np.random.default_rng(seed), stage)
    return performance


def frame(performance: Performance, t: float) -> np.ndarray:
    """Picture at time `t` over a plain background, uint8 RGB."""
    image = np.full((HEIGHT_PX, HEIGHT_PX * 4 // 3, 3), 90, dtype=np.uint8)
    performance.draw(Canvas(image, np.array([[HEIGHT_PX, 0, 0], [0, HEIGHT_PX, 0]], dtype=float)), t)
    return image


@pytest.fixture(params=sorted(CLASSES))
def module(request: pytest.FixtureRequest) -> ModuleType:
    """Each class module in turn."""
    return CLASSES[request.param]


def test_events_are_sorted_inside_the_clip_with_sane_force(module: ModuleType) -> None:
    for seed in range(8):
        events = staged(module, seed, held_out=seed % 2 == 1).events
        times = [event.time_s for event in events]
        assert times == sorted(times)
        assert all(0 <= t <= DURATION_S for t in times)
        assert all(0 < event.force <= 1 for event in events)
        assert all(0 <= event.x <= 4 / 3 and 0 <= event.y <= 1 for event in events)


@pytest.mark.parametrize(("name", "kind", "least"), [("fire", "spark", 2), ("car", "pass", 1)])
def test_eventful_classes_have_events(name: str, kind: str, least: int) -> None:
    counts = []
    for seed in range(8):
        events = staged(CLASSES[name], seed).events
        assert {event.kind for event in events} <= {kind}
        counts.append(len(events))
    assert np.mean(np.array(counts) >= least) > 0.8


@pytest.mark.parametrize("name", ["rain", "waterfall"])
def test_textures_have_no_events(name: str) -> None:
    assert all(staged(CLASSES[name], seed).events == () for seed in range(5))


def test_same_seed_gives_same_performance(module: ModuleType) -> None:
    one, two = staged(module, 3), staged(module, 3)
    assert one.events == two.events
    assert one.traits == two.traits
    # Out of order on purpose: the picture may depend on the time only.
    later = frame(one, 2.0)
    np.testing.assert_array_equal(frame(one, 1.0), frame(two, 1.0))
    np.testing.assert_array_equal(later, frame(two, 2.0))
    assert one.bed is not None
    assert two.bed is not None
    n = SAMPLE_RATE_HZ // 2
    np.testing.assert_array_equal(one.bed(np.random.default_rng(0), n), two.bed(np.random.default_rng(0), n))


def test_different_seeds_look_different(module: ModuleType) -> None:
    assert not np.array_equal(frame(staged(module, 1), 1.0), frame(staged(module, 2), 1.0))


def test_held_out_shares_no_trait_with_training(module: ModuleType) -> None:
    training = [staged(module, seed).traits for seed in range(8)]
    held_out = [staged(module, seed, held_out=True).traits for seed in range(8)]
    assert set(training[0]) == set(held_out[0])
    for key in training[0]:
        assert not {t[key] for t in training} & {t[key] for t in held_out}


def test_hit_sounds_within_a_millisecond(module: ModuleType) -> None:
    performance = staged(module, 0)
    material = performance.traits.get("material", "")
    for seed in SEEDS:
        event = Event(1.0, 0.8, "any", material, 0.5, 0.5)
        wave = performance.hit(event, np.random.default_rng(seed))
        assert wave.dtype == np.float32
        assert np.isfinite(wave).all()
        start = np.abs(wave[: SAMPLE_RATE_HZ // 1000]).max()
        assert start > 0.1 * np.abs(wave).max() > 0
        tail = wave[-wave.size // 5 :]
        assert np.abs(tail).max() < 0.3 * np.abs(wave).max()


def test_bed_follows_intensity(module: ModuleType) -> None:
    for seed in SEEDS:
        performance = staged(module, seed, held_out=seed == 2)
        assert performance.bed is not None
        assert performance.intensity is not None
        wave = performance.bed(np.random.default_rng(seed), round(DURATION_S * SAMPLE_RATE_HZ))
        assert wave.shape == (round(DURATION_S * SAMPLE_RATE_HZ),)
        assert wave.dtype == np.float32
        assert np.abs(wave).max() <= 1.0
        blocks = wave.reshape(25, -1)
        level = performance.intensity((np.arange(25) + 0.5) * DURATION_S / 25)
        assert np.all((level >= 0) & (level <= 1))
        assert np.corrcoef(blocks.std(axis=1), level)[0, 1] > 0.7


@pytest.mark.parametrize(
    ("name", "t_range"), [("rain", 0.5), ("waterfall", 0.5), ("fire", 0.5), ("car", 0.3)]
)
def test_intensity_uses_a_wide_range(name: str, t_range: float) -> None:
    for seed in range(8):
        intensity = staged(CLASSES[name], seed).intensity
        assert intensity is not None
        assert np.ptp(intensity(np.linspace(0, DURATION_S, 100))) > t_range


@pytest.mark.parametrize("name", ["rain", "waterfall", "fire"])
def test_picture_follows_intensity(name: str) -> None:
    """More rain, water or flame stands in the picture when the level is higher."""
    gains = []
    times = np.linspace(0, DURATION_S, 100)
    for seed in range(6):
        performance = staged(CLASSES[name], seed)
        assert performance.intensity is not None
        level = performance.intensity(times)

        def motion(t: float, performance: Performance = performance) -> float:
            t = min(max(t, 0.05), DURATION_S - 0.05)
            change = frame(performance, t + 0.04).astype(float) - frame(performance, t)
            return float((np.abs(change).max(axis=2) > 12).mean())

        high, low = float(times[level.argmax()]), float(times[level.argmin()])
        gains.append(motion(high) / max(motion(low), 1e-6))
    assert np.median(gains) > 1.5


def test_fire_flashes_at_its_sparks() -> None:
    ratios = []
    for seed in SEEDS:
        performance = staged(fire, seed)
        quiet = [
            t
            for t in np.linspace(0.3, DURATION_S - 0.3, 40)
            if all(not -0.1 < t - event.time_s < 0.8 for event in performance.events)
        ][:6]
        usual = [
            np.abs(frame(performance, t).astype(float) - frame(performance, t - 0.04)).mean() for t in quiet
        ]
        sparks = [
            np.abs(
                frame(performance, e.time_s + 0.01).astype(float) - frame(performance, e.time_s - 0.03)
            ).mean()
            for e in performance.events[:6]
        ]
        if quiet and sparks:
            ratios.append(np.median(sparks) / np.median(usual))
    assert len(ratios) > 0
    assert min(ratios) > 1.3


def test_car_is_level_peak_at_its_closest_approach() -> None:
    for seed in range(6):
        performance = staged(car, seed)
        assert performance.intensity is not None
        for event in performance.events:
            near, before, after = performance.intensity(event.time_s + np.array([0.0, -0.8, 0.8]))
            assert near > 0.8 * max(before, after)
        if performance.events:
            t = performance.events[0].time_s
            assert np.abs(frame(performance, t).astype(float) - frame(performance, t - 0.2)).mean() > 1


def test_swell_spans_its_range_smoothly() -> None:
    times = np.linspace(0, 6, 601)
    for seed in range(10):
        level = swell(np.random.default_rng(seed), 6.0, 0.2, 0.9)(times)
        assert level.min() == pytest.approx(0.2, abs=0.02)
        assert level.max() == pytest.approx(0.9, abs=0.02)
        assert np.abs(np.diff(level)).max() < 0.05


def test_fractal_repeats_at_its_edges() -> None:
    field = fractal(np.random.default_rng(0), (64, 48), 2.0)
    assert field.shape == (64, 48)
    assert 0 <= field.min() < field.max() <= 1
    inner = np.abs(np.diff(field, axis=0)).mean()
    assert np.abs(field[0] - field[-1]).mean() < 3 * inner


def test_baked_picture_lays_down_as_painted() -> None:
    def paint(canvas: Canvas) -> None:
        canvas.polygon([[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]], (200, 100, 50))

    rgb, cover = baked(paint, (0, 0, 1, 1), 64)
    direct, laid = (np.full((64, 64, 3), 30, dtype=np.uint8) for _ in range(2))
    camera = np.array([[64.0, 0, 0], [0, 64.0, 0]])
    paint(Canvas(direct, camera))
    Canvas(laid, camera).veil((0, 0, 1, 1), rgb, cover)
    assert np.abs(direct.astype(int) - laid)[4:-4, 4:-4].mean() < 3
    assert tuple(laid[32, 32]) == tuple(direct[32, 32])
    assert tuple(laid[5, 5]) == (30, 30, 30)
