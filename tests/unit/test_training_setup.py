"""What training leaves out to save time changes nothing that it computes."""

import subprocess
import sys

import torch

from foley.training.experiment import use_threads
from foley.training.memory import keep_freed_memory


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


OPTIMISED = """
import sys
import torch
{first}
weight = torch.nn.Parameter(torch.linspace(-1, 1, 7))
optimiser = torch.optim.AdamW([weight], lr=0.1)
for _ in range(3):
    optimiser.zero_grad()
    weight.square().sum().backward()
    optimiser.step()
again = torch.optim.AdamW([weight], lr=0.1)
again.load_state_dict(optimiser.state_dict())
print(weight.tolist(), int(again.state[weight]["step"]))
print("torch._dynamo.eval_frame" in sys.modules)
{last}
"""
LEAVE = "from foley.training.dynamo_shim import leave_compiler_unloaded; leave_compiler_unloaded()"


def test_optimisers_do_the_same_without_the_compiler() -> None:
    plain, loaded = run(OPTIMISED.format(first="", last="")).splitlines()
    without, not_loaded = run(OPTIMISED.format(first=LEAVE, last="")).splitlines()
    assert (without, loaded, not_loaded) == (plain, "True", "False")


def test_who_compiles_still_can() -> None:
    compiled = (
        "print(torch.compile(lambda x: 2 * x, backend='eager')(torch.ones(2)).tolist(), torch._dynamo.config)"
    )
    *_, last = run(OPTIMISED.format(first=LEAVE, last=compiled)).splitlines()
    assert last.startswith("[2.0, 2.0] <module 'torch._dynamo.config'")


def test_a_loaded_compiler_is_left_alone() -> None:
    *_, last = run(
        OPTIMISED.format(
            first=f"import torch._dynamo; {LEAVE}", last="print(hasattr(torch._dynamo, 'optimize'))"
        )
    ).splitlines()
    assert last == "True"


def test_memory_is_kept_and_sums_are_the_same() -> None:
    code = """
import resource
import torch
from foley.training.memory import keep_freed_memory
torch.set_num_threads(1)
if {keep}:
    assert keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def work(n):
    return sum(torch.full((20_000_000,), 0.1).mul(2).sum().item() for _ in range(n))
work(10)
before = faults()
total = work(5)
print(faults() - before, total)
"""
    given_back, plain = run(code.format(keep=False)).split()
    kept, same = run(code.format(keep=True)).split()
    assert same == plain
    assert int(kept) < int(given_back) / 2, "fresh pages were asked for again and again"


def test_torch_is_asked_for_the_same_bits() -> None:
    threads = torch.get_num_threads()
    try:
        use_threads(1)
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(threads)
    assert isinstance(keep_freed_memory(), bool)
