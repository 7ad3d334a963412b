"""What a process does once before it trains anything; nothing of it changes a result."""

from foley.training.dynamo_shim import leave_compiler_unloaded
from foley.training.memory import keep_freed_memory


def prepare_process() -> None:
    """Keep the memory of large tensors, and leave torch.compile unloaded, for the rest of this process."""
    keep_freed_memory()
    leave_compiler_unloaded()
