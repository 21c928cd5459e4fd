"""Physics is tested in double precision, as the command line runs it."""

import os

os.environ["JAX_ENABLE_X64"] = "1"
# most of a test's time is compilation, which optimises for runs that never come
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
