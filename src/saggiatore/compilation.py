"""What keeps compilation short: cheap options for programs that run once, one shape for all blocks of a table."""

import numpy as np

# for a program that runs once, XLA's optimisation costs more than it saves
RUN_ONCE: dict[str, int] = {"xla_backend_optimization_level": 0}
# and where next to nothing is to be run, neither does its generator of fused loops, nor a division among threads
ONCE_AND_SHORT: dict[str, int] = RUN_ONCE | {
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_parallel_codegen_split_count": 1,
}

# for a program that runs for a second: XLA's emitters of fused loops and LLVM's second level take up to 40 % of the
# compilation, and gather, search and small networks run as fast without them
QUICK: dict[str, int] = {"xla_cpu_use_fusion_emitters": False, "xla_backend_optimization_level": 1}

# vectors as wide as the machine has: networks draw events up to a fifth faster and train a seventh faster. Sums go in
# another order
WIDE: dict[str, int] = {"xla_cpu_prefer_vector_width": 512}


def fill(column: np.ndarray, size: int) -> np.ndarray:
    """The rows of a block, repeated up to `size` of them: the last, shorter block compiles nothing of its own."""
    return column[np.arange(size) % len(column)]
