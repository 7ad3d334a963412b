"""The sound of a film is exact in length, has no seams, keeps its scale, and is on time."""

import itertools
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile
from numpy.typing import NDArray

from foley.errors import ConfigError, MediaError, StoreError
from foley.features.streaming import extract_streamed
from foley.features.visual import extract_flow_shard
from foley.media.audio import write_wav
from foley.media.ffmpeg import probe
from foley.preprocess.flow_config import FlowConfig
from foley.preprocess.interpolation import InterpolationConfig, read_clip
from foley.preprocess.optical_flow import compute_shard
from foley.store.files import read_json, write_json
from foley.store.shards import ShardReader, ShardWriter
from foley.synthesis.dubbing import (
    Dubber,
    DubConfig,
    Window,
    cross_fade,
    dub_sound,
    find_cues,
    load_dubber,
    overlap_add,
    picture_windows,
    steady_class,
    timecode,
    window_features,
    window_starts,
)
from foley.synthesis.generate import to_waveform
from foley.synthesis.levels import LoudnessMeter, PeakMeter
from tests.films import hits, make_film
from tests.tiny_model import write_model, write_regnet, write_vocoder

VFR_S = np.cumsum([0.0, *np.tile([0.02, 0.02, 0.11, 0.04], 30)])


@pytest.fixture(scope="module")
def dubber(tmp_path_factory: pytest.TempPathFactory) -> Dubber:
    return load_dubber(write_model(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def hitting(tmp_path_factory: pytest.TempPathFactory) -> Dubber:
    return load_dubber(write_model(tmp_path_factory.mktemp("model"), level=2.0, favourite="hit"))


@pytest.fixture(scope="module")
def regnet(tmp_path_factory: pytest.TempPathFactory) -> Dubber:
    return load_dubber(write_regnet(tmp_path_factory.mktemp("model")))


@pytest.mark.parametrize("n_samples", [1, 99, 100, 101, 185, 186, 1000, 12345])
def test_windows_cover_the_film_overlap_enough_and_end_with_it(n_samples: int) -> None:
    starts = window_starts(n_samples, 100, 15)
    assert starts[0] == 0
    if n_samples <= 100:
        assert starts == [0]
        return
    assert starts[-1] + 100 == n_samples
    assert all(0 < later - earlier <= 85 for earlier, later in itertools.pairwise(starts))
    assert len(starts) == 1 + -(-(n_samples - 100) // 85)  # no more windows than needed


def joined(waveforms: list[NDArray[np.float32]], n_samples: int, n_fade: int) -> NDArray[np.float32]:
    n_window = len(waveforms[0])
    starts = window_starts(n_samples, n_window, n_window // 4)
    assert len(starts) == len(waveforms)
    return np.concatenate(list(overlap_add(iter(waveforms), starts, n_samples, n_fade)))


@pytest.mark.parametrize(("n_samples", "n_windows"), [(400, 1), (650, 1), (1000, 1), (1001, 2), (5321, 7)])
def test_a_constant_stays_constant_through_all_joins(n_samples: int, n_windows: int) -> None:
    whole = joined([np.full(1000, 0.5, dtype=np.float32)] * n_windows, n_samples, 120)
    assert whole.shape == (n_samples,)
    np.testing.assert_allclose(whole, 0.5, atol=1e-6)


def test_unrelated_noise_keeps_its_power_in_the_joins() -> None:
    rng = np.random.default_rng(0)
    pairs = rng.standard_normal((400, 2, 256)).astype(np.float32)
    power = np.mean([cross_fade(first, second) ** 2 for first, second in pairs], axis=0)
    assert power[64:192].mean() == pytest.approx(1.0, abs=0.06)  # a linear fade would give 0.5 to 0.6
    assert power.mean() == pytest.approx(1.0, abs=0.05)


def test_a_join_goes_from_the_one_to_the_other_and_opposites_do_not_explode() -> None:
    ones = np.ones(1000, dtype=np.float32)
    faded = cross_fade(ones, np.zeros(1000))
    assert faded[0] == pytest.approx(1, abs=1e-3)
    assert faded[-1] == pytest.approx(0, abs=1e-2)
    assert np.abs(cross_fade(ones, -ones)).max() <= 1
    assert len(cross_fade(ones[:0], ones[:0])) == 0


def test_samples_outside_the_joins_are_the_windows_own() -> None:
    rng = np.random.default_rng(1)
    waveforms = [rng.standard_normal(1000).astype(np.float32) for _ in range(2)]
    whole = joined(waveforms, 1700, 100)
    np.testing.assert_array_equal(whole[:800], waveforms[0][:800])
    np.testing.assert_array_equal(whole[900:], waveforms[1][200:])


def test_windows_hold_the_pictures_that_a_training_clip_holds(tmp_path: Path, dubber: Dubber) -> None:
    film = make_film(tmp_path / "vfr.mkv", VFR_S)
    starts_s = [0.0, 1.234, 2.5]
    windows = list(picture_windows(film, starts_s, 2.0, {"small": lambda picture: picture.rgb(32)}))
    config = dubber.views[0].source
    assert isinstance(config, InterpolationConfig)
    for start_s, (seen, times_s) in zip(starts_s, windows, strict=True):
        same, same_s = read_clip(path=film, start_s=start_s, duration_s=2.0, size_px=32, config=config)
        np.testing.assert_array_equal(times_s, same_s)
        np.testing.assert_array_equal(seen["small"], same)


def test_no_more_than_a_window_of_pictures_is_held(tmp_path: Path) -> None:
    film = make_film(tmp_path / "long.mp4", np.arange(500) / 25)
    starts_s = np.arange(0, 18, 1.5).tolist()
    windows = picture_windows(film, starts_s, 2.0, {"small": lambda picture: picture.rgb(16)})
    for start_s, (seen, times_s) in zip(starts_s, windows, strict=True):
        assert len(seen["small"]) <= 2.0 * 25 + 2
        assert times_s[0] <= 1e-6
        assert times_s[-1] >= min(2.0, 500 / 25 - 0.04 - start_s) - 1e-6


def test_features_are_those_that_training_saw(tmp_path: Path, dubber: Dubber) -> None:
    film = make_film(tmp_path / "film.mp4", np.arange(120) / 25)
    with ShardWriter(tmp_path / "clips.h5", {}) as shard:
        shard.write("a", {"audio": np.zeros(1)}, {"path": film.name, "start_s": 1.3, "duration_s": 3.0})
    (window,) = picture_windows(film, [1.3], 3.0, dubber.looks)
    features = window_features(*window, dubber)
    for view, made in zip(dubber.views, features, strict=True):
        path = tmp_path / f"{view.kind}.h5"
        assert isinstance(view.source, InterpolationConfig)
        extract_streamed(
            clips_path=tmp_path / "clips.h5",
            data_dir=tmp_path,
            kind="frames" if view.kind == "frames" else "spacetime",
            interpolation=view.source,
            spacetime=dubber.spacetime,
            size_px=dubber.size_px,
            config=view.backbone,
            features_path=path,
        )
        np.testing.assert_array_equal(made, ShardReader(path).read("a", "features"))


def travelling(index: int) -> NDArray[np.uint8]:
    """A patch of texture that travels to the right over a grey ground."""
    canvas = np.full((48, 64, 3), 90, dtype=np.uint8)
    patch = np.random.default_rng(0).integers(0, 256, (5, 5, 1), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    left = (2 * index) % 40
    canvas[14:34, left : left + 20] = patch
    return canvas


@pytest.mark.parametrize(
    "times_s",
    [
        pytest.param((np.arange(90) / 25).tolist(), id="25 a second"),
        pytest.param(VFR_S[:70].tolist(), id="variable"),
        pytest.param((np.arange(20) / 5).tolist(), id="slower than the flow"),
    ],
)
@pytest.mark.parametrize("start_s", [0.0, 0.71])
def test_optical_flow_of_a_window_is_that_of_the_stages(
    tmp_path: Path, regnet: Dubber, times_s: list[float], start_s: float
) -> None:
    film = make_film(tmp_path / "film.mkv", times_s, paint=travelling)
    with ShardWriter(tmp_path / "clips.h5", {}) as shard:
        clip = {"path": film.name, "start_s": start_s, "duration_s": 2.0}
        shard.write("a", {"audio": np.zeros(1)}, clip)
    (window,) = picture_windows(film, [start_s], 2.0, regnet.looks)
    _, made = window_features(*window, regnet)
    view = regnet.views[1]
    assert isinstance(view.source, FlowConfig)
    paths = {"clips_path": tmp_path / "clips.h5", "flow_path": tmp_path / "flow.h5"}
    compute_shard(data_dir=tmp_path, config=view.source, **paths)
    features_path = tmp_path / "features.h5"
    extract_flow_shard(flow_path=paths["flow_path"], config=view.backbone, features_path=features_path)
    staged = ShardReader(features_path).read("a", "features")
    np.testing.assert_array_equal(made, staged)
    assert made.shape == (43, 48)
    assert np.abs(made[:-1]).max() > 0.5, "something moves"
    assert not made[-1].any()


def test_a_model_without_classes_makes_takes_by_its_seed(tmp_path: Path, regnet: Dubber) -> None:
    film = make_film(tmp_path / "film.mp4", np.arange(80) / 25, paint=travelling)
    made = {}
    for name, seed in (("a", 0), ("b", 0), ("c", 3), ("d", 4)):
        dub = dub_sound(film, tmp_path / f"{name}.wav", regnet, seed=seed)
        made[name], rate_hz = soundfile.read(tmp_path / f"{name}.wav")
        assert (rate_hz, len(made[name])) == (48_000, round(probe(film).duration_s * 48_000))
        assert len(dub.windows) == 2
        assert {window.label for window in dub.windows} == {""}
    np.testing.assert_array_equal(made["a"], made["b"])
    assert np.std(made["a"]) > 1e-4
    takes = [made[name] for name in "acd"]
    for one, other in itertools.combinations(takes, 2):
        assert np.corrcoef(one, other)[0, 1] < 0.99
    # The model's own rate is 22,050 Hz: nothing can sound above half of it.
    power = np.abs(np.fft.rfft(made["a"])) ** 2
    assert power[np.fft.rfftfreq(len(made["a"]), 1 / 48_000) > 11_500].sum() < 1e-3 * power.sum()


def test_sound_goes_through_the_vocoder_beside_the_model(tmp_path: Path, regnet: Dubber) -> None:
    film = make_film(tmp_path / "film.mp4", np.arange(30) / 25)
    model = write_regnet(tmp_path / "results/films/experiments/regnet/seed0", vocoder="small")
    with pytest.raises(StoreError, match="train the vocoder first"):
        load_dubber(model)
    write_vocoder(tmp_path / "results/films/vocoders/small", regnet.representation)
    dubber = load_dubber(model)
    made = {}
    for name, by, seed in (("plain", regnet, 0), ("a", dubber, 0), ("b", dubber, 0), ("c", dubber, 1)):
        dub_sound(film, tmp_path / f"{name}.wav", by, seed=seed)
        made[name] = (tmp_path / f"{name}.wav").read_bytes()
    assert made["a"] == made["b"]
    assert len(set(made.values())) == 3


def test_a_dub_is_finished_as_the_model_asks(tmp_path: Path, dubber: Dubber) -> None:
    film = make_film(tmp_path / "film.mp4", np.arange(30) / 25)
    model = write_model(tmp_path / "results/films/experiments/tiny/seed0")
    facts = read_json(model / "model.json")

    def finished_by(**settings: object) -> Dubber:
        facts["pipeline"]["synthesis"].update(settings)
        write_json(model / "model.json", facts)
        return load_dubber(model)

    with pytest.raises(ConfigError, match="peak-match plays training clips, which are not there"):
        finished_by(peak_match={})
    (tmp_path / "clean/hum").mkdir(parents=True)
    write_wav(tmp_path / "clean/hum/1.wav", np.sin(np.arange(30_000) / 5), 44_100)
    matched = finished_by(peak_match={"references": str(tmp_path / "clean")})
    cleaned = finished_by(peak_match=None, denoise="block_threshold")
    made = {}
    for name, by in (("plain", dubber), ("matched", matched), ("cleaned", cleaned)):
        dub_sound(film, tmp_path / f"{name}.wav", by)
        made[name], _ = soundfile.read(tmp_path / f"{name}.wav")
    # The hum is a recording now, its peak where the model's was in its window, not at full scale.
    assert 0.8 < np.abs(made["matched"]).max() / np.abs(made["plain"]).max() < 2
    assert len({sound.tobytes() for sound in made.values()}) == 3


def test_a_model_without_classes_that_asks_for_peak_match_is_refused(tmp_path: Path) -> None:
    model = write_regnet(tmp_path / "model")
    facts = read_json(model / "model.json")
    facts["pipeline"]["synthesis"]["peak_match"] = {"references": str(tmp_path)}
    write_json(model / "model.json", facts)
    with pytest.raises(ConfigError, match="needs to know the class"):
        load_dubber(model)


def test_a_model_without_classes_takes_no_class_by_name(tmp_path: Path, regnet: Dubber) -> None:
    film = make_film(tmp_path / "film.mp4", np.arange(10) / 25)
    with pytest.raises(ConfigError, match="leave out --class"):
        dub_sound(film, tmp_path / "a.wav", regnet, label="hit")


def test_one_odd_window_does_not_change_the_class_and_a_new_scene_does() -> None:
    seen = [0.9, 0.9, 0.45, 0.9, 0.9, 0.1, 0.1, 0.1]
    pairs = [np.array([share, 1 - share]) for share in seen]
    chosen: list[int] = []
    for index, pair in enumerate(pairs):
        around = [*pairs[max(0, index - 1) : index], 2 * pair, *pairs[index + 1 : index + 2]]
        label, averaged = steady_class(around, chosen[-1] if chosen else None, 1.5)
        assert averaged.sum() == pytest.approx(1)
        chosen.append(label)
    assert chosen == [0, 0, 0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize(
    ("time_s", "fps", "expected"),
    [
        (0.0, 25.0, "00:00:00:00"),
        (0.04, 25.0, "00:00:00:01"),
        (0.0399, 25.0, "00:00:00:00"),
        (3661.5, 24.0, "01:01:01:12"),
        (1800 * 1001 / 30000, 30000 / 1001, "00:01:00:00"),
        (2.0, 0.5, "00:00:01:00"),
    ],
)
def test_timecode_names_the_picture_on_the_screen(time_s: float, fps: float, expected: str) -> None:
    assert timecode(time_s, fps) == expected


@pytest.mark.parametrize("rate_hz", [44_100, 48_000])
def test_loudness_in_pieces_is_that_of_the_whole(rate_hz: int) -> None:
    rng = np.random.default_rng(2)
    sound = 0.1 * rng.standard_normal(8 * rate_hz) * np.repeat([1, 0.02, 0.5, 0], 2 * rate_hz)
    meter = LoudnessMeter(rate_hz)
    for piece in np.array_split(sound, [100, 5000, 5001, 90_000]):
        meter.add(piece)
    measured = meter.integrated_lufs()
    assert measured is not None
    assert measured == pytest.approx(pyloudnorm.Meter(rate_hz).integrated_loudness(sound), abs=0.05)


def test_loudness_of_silence_and_of_almost_nothing_is_none() -> None:
    for sound in (np.zeros(96_000), np.ones(100)):
        meter = LoudnessMeter(48_000)
        meter.add(sound)
        assert meter.integrated_lufs() is None


def test_a_peak_between_samples_is_seen() -> None:
    sine = np.sin(np.pi / 4 + np.arange(48_000) * np.pi / 2).astype(np.float32)  # samples at 0.707
    meter = PeakMeter(48_000)
    for piece in np.array_split(sine, 7):
        meter.add(piece)
    meter.add(sine[:0], last=True)
    assert meter.peak > 0.97


def test_cues_of_a_long_sound_are_each_found_once_at_their_time(tmp_path: Path) -> None:
    times_s = [0.5, 4.98, 5.02 + 0.05, 9.999, 12.0, 14.2]
    write_wav(tmp_path / "a.wav", hits(times_s, 15.0, 48_000), 48_000)
    windows = [Window(0.0, 10.5, "hit", 0.8), Window(10.5, 15.0, "hum", 0.6)]
    cues = list(find_cues(tmp_path / "a.wav", windows, 25.0, DubConfig(cue_block_s=5.0)))
    np.testing.assert_allclose([cue.time_s for cue in cues], times_s, atol=0.003)
    assert [cue.label for cue in cues] == ["hit"] * 4 + ["hum"] * 2
    assert all(-30 < cue.level_db < 0 for cue in cues)


@pytest.mark.parametrize(
    "times_s",
    [
        pytest.param([0.0], id="one picture"),
        pytest.param([0.0, 0.04, 0.08], id="shorter than a window"),
        pytest.param((np.arange(75) / 25).tolist(), id="one window"),
        pytest.param((np.arange(100) * 1001 / 30000).tolist(), id="a little longer, 29.97"),
        pytest.param(VFR_S.tolist(), id="variable"),
        pytest.param([0.0, 0.04, 7.0, 7.04], id="a picture that stands for long"),
    ],
)
def test_the_sound_is_as_long_as_the_picture_to_the_sample(
    tmp_path: Path, dubber: Dubber, times_s: list[float]
) -> None:
    film = make_film(tmp_path / "film.mkv", times_s)
    told: list[tuple[float, float]] = []
    dub = dub_sound(film, tmp_path / "a.wav", dubber, on_progress=lambda *both: told.append(both))
    info = soundfile.info(tmp_path / "a.wav")
    assert (info.samplerate, info.channels, info.subtype) == (48_000, 1, "PCM_24")
    assert info.frames == dub.n_samples == round(probe(film).duration_s * 48_000)
    assert dub.windows[0].start_s == 0
    assert dub.windows[-1].end_s == info.frames / 48_000
    assert all(a.end_s == b.start_s for a, b in itertools.pairwise(dub.windows))
    assert {window.label for window in dub.windows} == {"hum"}
    assert told[-1][0] == told[-1][1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav", "film.mkv"]


def test_a_hit_sounds_at_its_instant_and_is_on_the_cue_list(tmp_path: Path, hitting: Dubber) -> None:
    film = make_film(tmp_path / "film.mp4", np.arange(75) / 25)
    dub = dub_sound(film, tmp_path / "a.wav", hitting)
    assert len(dub.cues) == 1
    assert dub.cues[0].time_s == pytest.approx(1.5, abs=0.015)
    assert dub.cues[0].label == "hit"
    sound, _ = soundfile.read(tmp_path / "a.wav")
    loudest = np.argmax(np.convolve(sound**2, np.ones(480), "same")) / 48_000
    assert 1.49 < loudest < 1.62


def test_a_named_class_sounds_whatever_is_seen(tmp_path: Path, dubber: Dubber) -> None:
    film = make_film(tmp_path / "film.mp4", np.arange(75) / 25)
    seen = dub_sound(film, tmp_path / "seen.wav", dubber)
    named = dub_sound(film, tmp_path / "named.wav", dubber, label="hit")
    assert (seen.windows[0].label, named.windows[0].label) == ("hum", "hit")
    assert named.windows[0].confidence == pytest.approx(1 - seen.windows[0].confidence)
    hum, hit = (soundfile.read(tmp_path / name)[0] for name in ("seen.wav", "named.wav"))
    assert np.std(hum[:48_000]) > 20 * np.std(hit[:48_000])  # a hit has nothing in its first second
    with pytest.raises(ConfigError, match="no class 'dog'; it knows hit, hum"):
        dub_sound(film, tmp_path / "dog.wav", dubber, label="dog")


def test_a_seed_gives_the_same_take_again_and_another_seed_another(tmp_path: Path, dubber: Dubber) -> None:
    film = make_film(tmp_path / "film.mp4", np.arange(30) / 25)
    made = {}
    for name, seed in (("a", 0), ("b", 0), ("c", 7), ("d", 7), ("e", 8)):
        dub_sound(film, tmp_path / f"{name}.wav", dubber, seed=seed)
        made[name] = (tmp_path / f"{name}.wav").read_bytes()
    assert made["a"] == made["b"]
    assert made["c"] == made["d"]
    assert len(set(made.values())) == 3


def test_loud_sound_is_lowered_as_a_whole_and_quiet_sound_left_alone(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mp4", np.arange(60) / 25)
    dubbers = [load_dubber(write_model(tmp_path / str(level), level=level)) for level in (0.5, 32.0)]
    quiet, loud = (dub_sound(film, tmp_path / f"{i}.wav", dubber) for i, dubber in enumerate(dubbers))
    assert quiet.gain_db == 0
    assert loud.gain_db < -1
    assert loud.true_peak_dbtp == pytest.approx(-1, abs=0.01)
    low, high = (soundfile.read(tmp_path / name)[0] for name in ("0.wav", "1.wav"))
    assert np.abs(high).max() <= 10 ** (-1 / 20)
    assert np.corrcoef(low, high)[0, 1] > 0.999  # only the scale differs
    model = dubbers[0]
    made = to_waveform(
        model.system.averages[1].numpy(), model.representation, model.synthesis, np.random.default_rng(0)
    )
    assert np.std(low) == pytest.approx(np.std(made[: round(2.4 * 44_100)]), rel=0.01)


def test_what_cannot_be_dubbed_says_why(tmp_path: Path, dubber: Dubber) -> None:
    make_film(tmp_path / "sound.mp4", None, hits([0.2], 1.0))
    with pytest.raises(MediaError, match="has no picture"):
        dub_sound(tmp_path / "sound.mp4", tmp_path / "a.wav", dubber)
    assert not (tmp_path / "a.wav").exists()
    with pytest.raises(ConfigError, match="cpu"):
        load_dubber(tmp_path, device="tpu")
    with pytest.raises(StoreError, match="make tables"):
        load_dubber(tmp_path / "nothing")


def test_a_model_of_flow_that_lacks_its_flow_is_refused(tmp_path: Path) -> None:
    model = write_regnet(tmp_path / "model")
    facts = read_json(model / "model.json")
    del facts["pipeline"]["flows"]
    write_json(model / "model.json", facts)
    with pytest.raises(StoreError, match="train the model again"):
        load_dubber(model)


@pytest.mark.parametrize("lost", ["pipeline", "backbones", "spacetime"])
def test_a_model_without_its_pipeline_is_refused(tmp_path: Path, lost: str) -> None:
    model = write_model(tmp_path / "model")
    facts = read_json(model / "model.json")
    for part in (facts, facts["pipeline"]):
        part.pop(lost, None)
    write_json(model / "model.json", facts)
    with pytest.raises(StoreError, match="train the model again"):
        load_dubber(model)
