"""What benchmarks measure with: children count, tables are readable, operations are those that are known."""

import operator
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.measure import Cost, fastest, machine, measure, measure_alone, table
from benchmarks.picture_path import N_IMAGES, backbone_config, loaded
from benchmarks.roofline import network_flops
from foley import registry

BUSY = "import time; start = time.process_time()\nwhile time.process_time() - start < 0.2: pass"


def test_the_time_of_programs_that_are_run_is_counted():
    _, cost = measure(subprocess.run, [sys.executable, "-c", BUSY], check=True)
    assert cost.cpu_s >= 0.2
    assert cost.wall_s >= 0.2


def test_alone_the_peak_is_that_of_the_work():
    held, cost = measure_alone(operator.mul, b"x", 200 * 2**20)
    assert len(held) == 200 * 2**20
    assert 200 < cost.peak_mib < 600
    _, small = measure_alone(sum, [1, 2])
    assert small.peak_mib < 200, "what an earlier process held does not count"


def test_costs_add_up_and_scale():
    both = Cost(1.0, 2.0, 300.0) + Cost(3.0, 4.0, 100.0)
    assert both == Cost(4.0, 6.0, 300.0)
    assert both.times(0.5) == Cost(2.0, 3.0, 300.0)


def test_the_fastest_of_several_runs_counts():
    times = iter([0.0, 3.0, 10.0, 11.0, 20.0, 22.0])
    assert fastest(lambda: None, 3, lambda: next(times)) == 1.0


def test_a_table_is_markdown_with_three_digits():
    lines = table(["a", "b"], [["x", 0.0123456], ["y", 98765.4], ["z", 12]]).splitlines()
    assert lines == ["| a | b |", "|---|---|", "| x | 0.0123 |", "| y | 98800 |", "| z | 12 |"]


def test_the_machine_is_named_in_one_line():
    assert "\n" not in machine()
    assert "cores" in machine()


@pytest.mark.parametrize(("name", "giga"), [("resnet50", 8.18), ("efficientnet_lite0", 0.77)])
def test_operations_of_known_networks(name, giga):
    config = backbone_config("float32").model_copy(update={"network": name, "weights": "random"})
    network = registry.load("backbones", name).build(config)
    assert network_flops(network, 224) / 1e9 == pytest.approx(giga, rel=0.03)


def test_the_papers_stack_is_previous_current_next(tmp_path):
    import cv2

    for k in range(4):
        cv2.imwrite(str(tmp_path / f"{k:05d}.png"), np.full((30, 40, 3), 10 * k, np.uint8))
    stacks = loaded(tmp_path)
    assert [stack[5, 5].tolist() for stack in stacks] == [[0, 0, 10], [0, 10, 20], [10, 20, 30], [20, 30, 30]]
    assert N_IMAGES == 570
