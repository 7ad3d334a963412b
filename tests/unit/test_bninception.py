"""BN-Inception: the published sizes, and weights in the published layout."""

from pathlib import Path

import pytest
import torch

from foley.errors import ConfigError
from foley.features.backbones import bninception
from foley.features.visual import BackboneConfig
from foley.provenance import file_sha256


def published_state() -> dict[str, torch.Tensor]:
    """Random weights under the published names, with norms of the old shape and a classifier."""
    generator = torch.Generator().manual_seed(0)
    state = {"fc.weight": torch.zeros(1000, 1024), "fc.bias": torch.zeros(1000)}
    own = bninception.trunk().state_dict()
    layers = [name.removesuffix(".0.weight") for name in own if name.endswith(".0.weight")]
    for layer, name in zip(layers, bninception._published_names(), strict=True):
        shape = own[f"{layer}.0.weight"].shape
        state[f"{name}.weight"] = torch.randn(shape, generator=generator) * (2 / shape[1:].numel()) ** 0.5
        state[f"{name}.bias"] = torch.zeros(shape[0])
        for part in ("weight", "bias", "running_mean", "running_var"):
            value = torch.rand(1, shape[0], generator=generator)
            state[f"{name}_bn.{part}"] = value + 0.5 if part in ("weight", "running_var") else value - 0.5
    return state


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, torch.Tensor]]:
    path = tmp_path_factory.mktemp("weights") / "bn_inception.pth"
    state = published_state()
    torch.save(state, path)
    return path, state


def config(path: Path) -> BackboneConfig:
    return BackboneConfig(network="bninception", weights=str(path), sha256=file_sha256(path))


@pytest.mark.parametrize(("n_channels", "n_parameters"), [(3, 10_270_240), (2, 10_267_104)])
def test_sizes_are_the_published_ones(n_channels: int, n_parameters: int) -> None:
    network = bninception.trunk(n_channels)
    assert sum(value.numel() for value in network.parameters()) == n_parameters
    with torch.inference_mode():
        assert network(torch.zeros(1, n_channels, 224, 224)).shape == (1, 1024, 7, 7)


def test_published_weights_are_taken_whole_and_pictures_go_in_as_bgr(
    weights: tuple[Path, dict[str, torch.Tensor]],
) -> None:
    path, state = weights
    network = bninception.build(config(path))
    picture = torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8, generator=torch.manual_seed(1))
    # The first unit by hand: BGR less the published means, convolution, norm.
    x = picture.flip(3).permute(0, 3, 1, 2).float() - torch.tensor([104.0, 117.0, 128.0]).view(1, 3, 1, 1)
    x = torch.nn.functional.conv2d(
        x, state["conv1_7x7_s2.weight"], state["conv1_7x7_s2.bias"], stride=2, padding=3
    )
    norm = [state[f"conv1_7x7_s2_bn.{part}"][0] for part in ("running_mean", "running_var", "weight", "bias")]
    x = torch.nn.functional.batch_norm(x, *norm).relu()
    seen: list[torch.Tensor] = []
    network.trunk[0].register_forward_hook(lambda _, __, output: seen.append(output))
    with torch.inference_mode():
        features = network(picture)
    assert features.shape == (1, 1024)
    torch.testing.assert_close(seen[0], x, rtol=1e-4, atol=1e-2)


def test_flow_goes_through_the_mean_kernel(weights: tuple[Path, dict[str, torch.Tensor]]) -> None:
    path, state = weights
    network = bninception.build_for_flow(config(path), 20.0)
    kernel = network.trunk[0][0].weight
    assert kernel.shape == (64, 2, 7, 7)
    for channel in range(2):
        torch.testing.assert_close(kernel[:, channel], state["conv1_7x7_s2.weight"].mean(dim=1))
    still = torch.full((1, 64, 64, 2), 128, dtype=torch.uint8)
    moving = still.clone()
    moving[:, :, :, 0] += 40
    with torch.inference_mode():
        assert not torch.allclose(network(still), network(moving))


def test_a_file_that_lacks_a_layer_is_refused(
    weights: tuple[Path, dict[str, torch.Tensor]], tmp_path: Path
) -> None:
    state = {name: value for name, value in weights[1].items() if not name.startswith("inception_4c_3x3.")}
    path = tmp_path / "short.pth"
    torch.save(state, path)
    with pytest.raises(ConfigError, match=r"short\.pth"):
        bninception.build(config(path))


def test_without_a_file_it_says_which_one_is_needed() -> None:
    with pytest.raises(ConfigError, match="bn_inception"):
        bninception.build(BackboneConfig(network="bninception"))
