"""Camera, nuisances, microphone and files around a procedural performance."""

import hashlib
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from pydantic import ValidationError

from foley.datasets.procedural.bank import bank_files, choke, choose_takes, loop, match_level, slice_at_onsets
from foley.datasets.procedural.config import ProceduralConfig
from foley.datasets.procedural.film import Shot, film, frame_ticks, metered, picture_at
from foley.datasets.procedural.make import (
    list_recordings,
    make_recording,
    read_intensity,
    read_truth,
    record_take,
    stage_take,
)
from foley.datasets.procedural.nuisance import draw_nuisances
from foley.datasets.procedural.performance import SAMPLE_RATE_HZ, Event, Performance, Stage
from foley.datasets.procedural.record import draw_room, record
from foley.errors import ConfigError

SMALL = ProceduralConfig(
    recordings_per_class=2, min_duration_s=1.0, max_duration_s=1.4, frame_sizes_px=((128, 96),)
)
STAGE = Stage(duration_s=2.0, aspect=4 / 3, held_out=False)


def tapper(rng: np.random.Generator, stage: Stage) -> Performance:
    """A disc that comes down on every event with a click; its colour is random."""
    times = np.arange(0.3, stage.duration_s - 0.1, 0.25)
    x = stage.aspect * rng.uniform(0.3, 0.7)
    events = tuple(Event(float(t), 0.8, "strike", "wood", x, 0.6) for t in times)
    colour = tuple(rng.uniform(0, 255, 3))

    def draw(canvas, t_s):
        height = min(float(np.abs(times - t_s).min()) * 3, 0.4)
        canvas.circle((x, 0.6 - height), 0.15, colour)

    def hit(event, rng):
        t = np.arange(2400) / SAMPLE_RATE_HZ
        return (event.force * np.exp(-t * 150) * np.cos(2 * np.pi * 2000 * t)).astype(np.float32)

    return Performance(events, draw, hit, {"thing": "disc"})


def hummer(rng: np.random.Generator, stage: Stage) -> Performance:
    """No events: a noise that swells."""

    def intensity(t_s):
        return np.clip(np.asarray(t_s) / stage.duration_s, 0, 1)

    def bed(rng, n_samples):
        swell = intensity(np.arange(n_samples) / SAMPLE_RATE_HZ)
        return (0.3 * rng.standard_normal(n_samples) * swell).astype(np.float32)

    return Performance(
        (), lambda canvas, t_s: None, lambda event, rng: np.zeros(0, np.float32), {}, bed, intensity
    )


# --- configuration and list -----------------------------------------------------------------------


def test_chopping_is_cutting():
    assert ProceduralConfig(classes=("Chopping", "rain")).classes == ("cutting", "rain")


@pytest.mark.parametrize(
    "wrong",
    [
        {"clases": ("rain",)},
        {"classes": ("dog",)},
        {"classes": ("rain", "rain")},
        {"mixture": "fireworks"},
        {"frame_sizes_px": ((321, 240),)},
        {"frame_rates": ("600",)},
        {"min_duration_s": 9.0},
        {"held_out_fraction": 1.0},
    ],
)
def test_config_refuses(wrong):
    with pytest.raises(ValidationError):
        ProceduralConfig(**wrong)


def test_list_is_stable_when_it_grows():
    few = list_recordings(ProceduralConfig(classes=("clock",), recordings_per_class=8))
    many = list_recordings(ProceduralConfig(classes=("rain", "clock"), recordings_per_class=20))
    assert set(few) <= set(many)
    assert sum(held_out for *_, held_out in few) == 2
    assert len({seed for _, _, seed, _ in many}) == 40


def test_seed_changes_every_recording():
    first = list_recordings(ProceduralConfig(seed=1))
    second = list_recordings(ProceduralConfig(seed=2))
    assert all(a[2] != b[2] and a[0] == b[0] for a, b in zip(first, second, strict=True))


# --- nuisances ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(25))
def test_view_stays_inside_the_scene_and_on_the_events(seed):
    rng = np.random.default_rng(seed)
    events = [Event(t, 0.5, "x", "", rng.uniform(0.4, 0.9), rng.uniform(0.3, 0.7)) for t in (0.2, 0.9, 1.7)]
    nuisances = draw_nuisances(rng, STAGE, events, backdrop_px=48)
    for t_s in np.linspace(0, 2, 9):
        matrix = nuisances.camera.matrix(float(t_s), 240)
        back = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
        corners = np.array([[0, 0, 1], [320, 0, 1], [320, 240, 1], [0, 240, 1]]) @ back[:2].T
        assert corners.min() > -1e-6
        assert (corners <= np.array([4 / 3, 1.0]) + 1e-6).all()
        for event in events:
            x, y = matrix @ np.array([event.x, event.y, 1.0])
            assert 0 <= x <= 320
            assert 0 <= y <= 240


def test_held_out_recordings_show_other_things():
    seen = {False: set(), True: set()}
    for held_out in seen:
        for seed in range(60):
            stage = replace(STAGE, held_out=held_out)
            traits = draw_nuisances(np.random.default_rng(seed), stage, [], backdrop_px=32).traits
            seen[held_out] |= {traits["backdrop"], traits["occluder"], *traits["movers"].split("+")}
    assert seen[False] & seen[True] == {"none"}
    assert len(seen[False]) > 12
    assert len(seen[True]) > 12


def test_exposure_meter_reaches_its_target():
    rng = np.random.default_rng(3)
    performance = tapper(rng, STAGE)
    drawn = draw_nuisances(rng, STAGE, performance.events)
    plain = replace(drawn, gamma=1.0, vignette=0.0, noise_std=0.0, light=replace(drawn.light, kind="steady"))
    shot = Shot(128, 96, np.arange(50) / 25, 0.0, 1)
    lumas = []
    for target in (60.0, 120.0):
        exposed = metered(performance, replace(plain, target_luma=target), shot)
        frame = picture_at(performance, exposed, shot, 1.0, 0)
        lumas.append(float(frame.mean()))
    assert lumas[0] == pytest.approx(60, rel=0.25)
    assert lumas[1] > lumas[0] * 1.4


# --- film -----------------------------------------------------------------------------------------


def test_constant_rate_ticks_are_exact():
    ticks = frame_ticks(2.0, "30000/1001", Fraction(1, 30_000), np.random.default_rng(0))
    assert ticks.tolist() == [1001 * k for k in range(60)]


@pytest.mark.parametrize("seed", range(10))
def test_variable_rate_varies(seed):
    ticks = frame_ticks(4.0, "variable", Fraction(1, 90_000), np.random.default_rng(seed))
    steps = np.diff(ticks)
    assert ticks[0] == 0
    assert ticks[-1] < 4.0 * 90_000
    assert steps.min() > 0
    assert steps.max() > 1.2 * steps.min()


def test_same_seed_same_frames_and_other_seed_others():
    row = list_recordings(SMALL)[0]

    def frames(seed):
        take = stage_take(row[0], row[1], seed, False, SMALL, tapper)
        rng = np.random.default_rng(0)
        return np.stack([f for _, f in film(take.performance, take.nuisances, take.shot, rng)])

    first, again, other = frames(5), frames(5), frames(6)
    assert np.array_equal(first, again)
    assert first.dtype == np.uint8
    assert first.shape[1:] == (96, 128, 3)
    assert first.shape != other.shape or not np.array_equal(first, other)


def test_motion_blur_spreads_a_moving_thing():
    rng = np.random.default_rng(1)
    performance = Performance(
        (),
        lambda canvas, t_s: canvas.circle((0.2 + 3 * t_s, 0.5), 0.04, (255, 255, 255)),
        lambda event, rng: np.zeros(1, np.float32),
        {},
    )
    nuisances = draw_nuisances(rng, STAGE, [])
    dark = replace(
        nuisances,
        backdrop=np.zeros_like(nuisances.backdrop),
        grade=np.eye(3, 4),
        gamma=1.0,
        behind=(),
        before=(),
        occluders=(),
        noise_std=0.0,
        defocus_px=0.0,
        light=replace(nuisances.light, kind="steady"),
    )
    sharp = Shot(320, 240, np.array([0.2]), 0.0, 1)
    blurred = Shot(320, 240, np.array([0.2]), 0.03, 4)
    a, b = (picture_at(performance, dark, shot, 0.2, 0) for shot in (sharp, blurred))
    assert (b > 20).sum() > 1.2 * (a > 20).sum()
    assert b.max() <= a.max()


# --- microphone -----------------------------------------------------------------------------------


def click(at: int, n: int = 48_000) -> np.ndarray:
    wave = np.zeros(n, np.float32)
    t = np.arange(2000) / SAMPLE_RATE_HZ
    wave[at : at + 2000] = np.exp(-t * 200) * np.cos(2 * np.pi * 1500 * t)
    return wave


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("n_channels", [1, 2])
def test_room_and_microphone_do_not_delay(seed, n_channels):
    rng = np.random.default_rng(seed)
    room = draw_room(rng)
    out = record(click(20_000), room, np.array([0.8]), None, 0.0, n_channels, rng)
    assert out.shape == (48_000, n_channels)
    assert np.abs(out).max() == pytest.approx(10 ** (room.peak_db / 20), rel=1e-3)
    for channel in out.T:
        loud = np.flatnonzero(np.abs(channel) > 0.3 * np.abs(channel).max())
        assert abs(int(loud[0]) - 20_000) <= 24  # half a millisecond


def test_off_screen_sound_comes_at_the_stated_level():
    rng = np.random.default_rng(0)
    room = replace(draw_room(rng), direct_db=60.0, tilt=0.0, hiss_db=-120.0, high_cut_hz=24_000.0)
    dry = click(5_000)
    other = rng.standard_normal(48_000).astype(np.float32)
    clean = record(dry, room, None, None, 10.0, 1, np.random.default_rng(1))[:, 0]
    mixed = record(dry, room, None, other, 10.0, 1, np.random.default_rng(1))[:, 0]
    gain = np.dot(clean, mixed) / np.dot(clean, clean)
    rest = mixed - gain * clean
    snr_db = 10 * np.log10(np.sum((gain * clean) ** 2) / np.sum(rest**2))
    assert snr_db == pytest.approx(10.0, abs=0.5)  # the microphone's low cut takes off a little


def test_mixtures_change_the_sound_and_nothing_else(tmp_path: Path):
    row = list_recordings(SMALL)[0]
    noisy = SMALL.model_copy(update={"mixture": "gauss", "mixture_snr_db": 5.0})
    clean_take, noisy_take = (stage_take(*row, config, tapper) for config in (SMALL, noisy))
    assert clean_take.performance.events == noisy_take.performance.events
    a, b = record_take(clean_take, SMALL), record_take(noisy_take, noisy)
    assert a.shape == b.shape
    quiet = slice(0, round(0.25 * SAMPLE_RATE_HZ))  # before the first event
    assert np.abs(b[quiet]).max() > 5 * np.abs(a[quiet]).max()


# --- sound bank -----------------------------------------------------------------------------------


def test_slices_start_at_the_onsets():
    rng = np.random.default_rng(0)
    wave = (1e-4 * rng.standard_normal(96_000)).astype(np.float32)
    starts = [7_000, 30_011, 55_555]
    for start in starts:
        wave[start : start + 2000] += click(0, 2000)
    takes = slice_at_onsets(wave)
    assert len(takes) == 3
    for take in takes:
        assert int(np.argmax(np.abs(take) > 0.5 * np.abs(take).max())) <= 24


def test_silence_has_no_takes():
    assert slice_at_onsets(np.zeros(10_000, np.float32)) == []


def test_never_the_same_take_twice_in_a_row():
    order = choose_takes(500, 3, np.random.default_rng(0))
    assert all(a != b for a, b in pairwise(order))
    assert set(order) == {0, 1, 2}
    assert choose_takes(3, 1, np.random.default_rng(0)) == [0, 0, 0]


def test_levels_match():
    loud, quiet = click(0) * 0.9, click(0)[:2000] * 0.01
    assert np.abs(match_level(quiet, loud)).max() == pytest.approx(0.9, rel=0.02)
    assert not match_level(quiet, np.zeros(2000, np.float32)).any()


def test_a_take_makes_room_for_the_next_event():
    long = np.ones(48_000, np.float32)
    short = choke(long, 0.2)
    assert short.size == 9_600
    assert short[0] == 1
    assert short[-1] == 0
    assert choke(long, 2.0) is long


def test_loop_evens_out_the_level():
    rng = np.random.default_rng(1)
    wave = rng.standard_normal(240_000).astype(np.float32)
    wave[:48_000] *= 0.001
    wave[120_000:] *= 0.5
    level = np.sqrt((loop(wave, 192_000, rng).reshape(20, -1) ** 2).mean(axis=1))
    assert level.min() > 0.7
    assert level.max() < 1.4


def test_loop_is_seamless():
    rng = np.random.default_rng(0)
    out = loop(rng.standard_normal(60_000).astype(np.float32), 200_000, rng)
    level = np.sqrt((out.reshape(100, 2000) ** 2).mean(axis=1))
    assert out.shape == (200_000,)
    assert level.min() > 0.75
    assert level.max() < 1.3


def test_bank_replaces_the_sound_at_the_same_times(tmp_path: Path):
    folder = tmp_path / "bank" / "clock"
    folder.mkdir(parents=True)
    for k in range(4):
        t = np.arange(4410) / 44_100
        wave = np.concatenate(
            [np.zeros(3000 + 500 * k), np.exp(-t * 90) * np.cos(2 * np.pi * (700 + 300 * k) * t)]
        )
        sf.write(folder / f"{k}.wav", wave, 44_100)
    assert not set(bank_files(tmp_path / "bank", "clock", True)) & set(
        bank_files(tmp_path / "bank", "clock", False)
    )
    config = SMALL.model_copy(update={"sound_bank": tmp_path / "bank"})
    take = stage_take("clock_0", "clock", 11, False, config, tapper)
    plain, banked = record_take(take, SMALL)[:, 0], record_take(take, config)[:, 0]
    assert np.corrcoef(plain, banked)[0, 1] < 0.8
    for event in take.performance.events:
        at = round(event.heard_s * SAMPLE_RATE_HZ)
        assert np.abs(banked[at : at + 48]).max() > 4 * np.abs(banked[at - 480 : at - 4]).max()


def test_bank_without_the_class_says_what_is_missing(tmp_path: Path):
    with pytest.raises(ConfigError, match="chopping"):
        bank_files(tmp_path, "cutting", False)


# --- files ----------------------------------------------------------------------------------------


def test_files_are_the_same_to_the_byte(tmp_path: Path):
    row = list_recordings(SMALL)[1]
    digests = []
    for name in ("a", "b"):
        facts = make_recording(*row, SMALL, tmp_path / name, tapper)
        files = sorted((tmp_path / name).iterdir())
        digests.append([(p.name, hashlib.sha256(p.read_bytes()).hexdigest()) for p in files])
        assert (facts["path"], facts["sha256"]) in digests[-1]
    assert digests[0] == digests[1]


def test_truth_and_curve_are_written(tmp_path: Path):
    facts = make_recording("x", "rain", 3, False, SMALL, tmp_path, hummer)
    assert read_truth(tmp_path, "x") == []
    curve = read_intensity(tmp_path, "x")
    assert curve[0].intensity == 0
    assert curve[-1].time_s < facts["duration_s"] <= curve[-1].time_s + 0.03
    facts = make_recording("y", "clock", 3, True, SMALL, tmp_path, tapper)
    events = read_truth(tmp_path, "y")
    assert len(events) == facts["n_events"] > 0
    assert all(0 < row.x < 1 and 0 < row.y < 1 for row in events)
    assert facts["intensity_path"] == ""


def test_a_failed_recording_leaves_no_film(tmp_path: Path):
    def clumsy(rng, stage):
        def draw(canvas, t_s):
            if t_s > 0.95:
                raise RuntimeError("dropped the camera")

        return replace(tapper(rng, stage), draw=draw)

    with pytest.raises(RuntimeError, match="dropped"):
        make_recording("z", "clock", 3, False, SMALL, tmp_path, clumsy)
    assert {path.suffix for path in tmp_path.iterdir()} <= {".tsv"}
