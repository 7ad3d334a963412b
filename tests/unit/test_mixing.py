"""Sound laid over clips: what is added is known to the sample, and depends on nothing but seed and names."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from foley.errors import ConfigError
from foley.features.audio import MIXED, extract_shard, represent
from foley.preprocess.mixing import MixtureConfig, at_level, mix_shard
from foley.store.collect import join_shards
from foley.store.manifests import Clip, write_rows
from foley.store.shards import ShardReader, ShardWriter
from tests.learnable import RATE_HZ, REPRESENTATION, clip_row

N_SAMPLES = REPRESENTATION.settings.n_samples
NOISE = MixtureConfig(kind="noise", std=0.1)
BANGS = MixtureConfig(kind="class", label="bang")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shards of clips of two classes in both splits, every sound of its own level."""
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(3)
    rows = [
        clip_row(f"{label}_{number}_{split}", label, split, f"{number % 2:03d}")
        for label in ("bang", "drip")
        for split in ("train", "test")
        for number in range(3)
    ]
    for shard in ("000", "001"):
        with ShardWriter(folder / f"{shard}.h5", {}) as writer:
            for row in (row for row in rows if row.shard == shard):
                sound = rng.normal(0, rng.uniform(0.01, 0.2), N_SAMPLES).astype(np.float32)
                writer.write(row.clip_id, {"audio": sound}, {"sample_rate_hz": RATE_HZ})
    join_shards([folder / "000.h5", folder / "001.h5"], folder / "clips.h5")
    write_rows(folder / "clips.tsv", Clip, rows)
    return folder


def mix(
    folder: Path, target: Path, config: MixtureConfig, *, shard: str = "000", name: str = "mix", seed: int = 0
) -> ShardReader:
    mix_shard(
        clips_path=folder / f"{shard}.h5",
        all_clips_path=folder / "clips.h5",
        rows_path=folder / "clips.tsv",
        mixture=name,
        config=config,
        seed=seed,
        mixed_path=target,
    )
    return ShardReader(target)


def rms(sound: np.ndarray) -> float:
    return float(np.sqrt(np.mean(sound.astype(np.float64) ** 2)))


def test_noise_has_the_configured_spread_and_no_mean(folder: Path, tmp_path: Path) -> None:
    mixed, clips = mix(folder, tmp_path / "m.h5", NOISE), ShardReader(folder / "000.h5")
    assert mixed.items == clips.items
    everything = np.concatenate([mixed.read(clip_id, "background") for clip_id in mixed.items])
    assert everything.std() == pytest.approx(0.1, rel=0.02)
    assert abs(everything.mean()) < 4 * 0.1 / np.sqrt(len(everything))
    assert len(np.unique(everything)) > 0.99 * len(everything)  # no clip has the noise of another


def test_what_is_laid_over_is_what_is_added(folder: Path, tmp_path: Path) -> None:
    clips = ShardReader(folder / "clips.h5")
    for config in (NOISE, BANGS):
        mixed = mix(folder, tmp_path / f"{config.kind}.h5", config)
        for clip_id in mixed.items:
            sound, background = mixed.read(clip_id, "audio"), mixed.read(clip_id, "background")
            assert sound.dtype == background.dtype == np.float32
            np.testing.assert_allclose(sound, clips.read(clip_id, "audio") + background, atol=1e-7)
            assert mixed.item_attributes(clip_id)["sample_rate_hz"] == RATE_HZ


def test_a_class_is_laid_over_the_others_within_a_split(folder: Path, tmp_path: Path) -> None:
    clips = ShardReader(folder / "clips.h5")
    found = set()
    for shard in ("000", "001"):
        mixed = mix(folder, tmp_path / f"{shard}.h5", BANGS, shard=shard)
        for clip_id in mixed.items:
            source = mixed.item_attributes(clip_id)["background_clip"]
            assert clip_id.startswith("drip")
            assert source.startswith("bang")
            assert source.split("_")[2] == clip_id.split("_")[2]
            np.testing.assert_array_equal(mixed.read(clip_id, "background"), clips.read(source, "audio"))
            found.add(clip_id)
    assert found == {clip_id for clip_id in clips.items if clip_id.startswith("drip")}


def test_sounds_are_drawn_by_seed_mixture_and_clip_alone(folder: Path, tmp_path: Path) -> None:
    first = mix(folder, tmp_path / "first.h5", NOISE)
    again = mix(folder, tmp_path / "again.h5", NOISE)
    assert first.path.read_bytes() == again.path.read_bytes()
    few = mix(folder, tmp_path / "few.h5", NOISE.model_copy(update={"over": ("drip",)}))
    for other in (
        mix(folder, tmp_path / "seed.h5", NOISE, seed=1),
        mix(folder, tmp_path / "name.h5", NOISE, name="other"),
    ):
        for clip_id in first.items:
            assert (first.read(clip_id, "background") != other.read(clip_id, "background")).any()
    assert few.items == [clip_id for clip_id in first.items if clip_id.startswith("drip")]
    for clip_id in few.items:
        np.testing.assert_array_equal(few.read(clip_id, "audio"), first.read(clip_id, "audio"))


def test_a_level_is_kept_for_every_clip(folder: Path, tmp_path: Path) -> None:
    for config in (BANGS.model_copy(update={"level_db": -6.0}), MixtureConfig(kind="noise", level_db=-6.0)):
        mixed = mix(folder, tmp_path / f"{config.kind}.h5", config)
        for clip_id in mixed.items:
            wanted = rms(ShardReader(folder / "000.h5").read(clip_id, "audio")) * 10 ** (-6 / 20)
            assert rms(mixed.read(clip_id, "background")) == pytest.approx(wanted, rel=1e-4)


def test_silence_stays_silent_at_any_level() -> None:
    silence, sound = np.zeros(8, np.float32), np.ones(8, np.float32)
    assert not at_level(silence, sound, 3.0).any()
    assert not at_level(sound, silence, 3.0).any()
    np.testing.assert_array_equal(at_level(sound, silence, None), sound)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            MixtureConfig(kind="class", label="bnag"),
            r"label: no clip is labelled 'bnag'.*bang, drip",
        ),
        (
            MixtureConfig(kind="noise", std=1, over=("dripp",)),
            r"mix\.over: no clip is labelled 'dripp'",
        ),
    ],
)
def test_a_misspelt_label_is_named(folder: Path, tmp_path: Path, config: MixtureConfig, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        mix(folder, tmp_path / "m.h5", config)


def test_a_split_without_the_class_is_named(folder: Path, tmp_path: Path) -> None:
    rows = [clip_row(f"{one}_train", one[:4], "train", "000") for one in ("bang_0", "bang_1", "drip_0")]
    rows.append(clip_row("drip_0_test", "drip", "test", "000"))
    write_rows(tmp_path / "clips.tsv", Clip, rows)
    with ShardWriter(tmp_path / "000.h5", {}) as writer:
        for row in rows:
            writer.write(row.clip_id, {"audio": np.ones(4, np.float32)}, {"sample_rate_hz": RATE_HZ})
    join_shards([tmp_path / "000.h5"], tmp_path / "clips.h5")
    with pytest.raises(ConfigError, match="no clip of the test split is labelled 'bang'"):
        mix(tmp_path, tmp_path / "m.h5", BANGS)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "noise"}, "needs either std or level_db"),
        ({"kind": "noise", "std": 0.1, "level_db": -3}, "needs either std or level_db"),
        ({"kind": "class"}, "needs label"),
        ({"kind": "noise", "std": 0.1, "label": "bang"}, "has no label"),
        ({"kind": "class", "label": "bang", "std": 0.1}, "has no std"),
        ({"kind": "class", "label": "bang", "over": ["bang"]}, "over: 'bang' is the class that is laid over"),
        ({"kind": "class", "label": "bang", "levle_db": 3}, "levle_db"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(values: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        MixtureConfig(**values)


def test_features_are_of_the_mixed_sound_and_of_what_was_laid_over(folder: Path, tmp_path: Path) -> None:
    mixed = mix(folder, tmp_path / "m.h5", BANGS)
    extract_shard(
        clips_path=tmp_path / "m.h5", config=REPRESENTATION, features_path=tmp_path / "f.h5", sounds=MIXED
    )
    features = ShardReader(tmp_path / "f.h5")
    assert features.items == mixed.items
    for clip_id in mixed.items:
        assert features.names(clip_id) == ["background", "features"]
        assert features.item_attributes(clip_id) == {"sample_rate_hz": RATE_HZ}
        for name, sound in MIXED.items():
            expected = represent(mixed.read(clip_id, sound), REPRESENTATION)
            np.testing.assert_array_equal(features.read(clip_id, name), expected)
