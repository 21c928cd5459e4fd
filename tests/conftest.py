"""Physics is tested in double precision, as the command line runs it."""

import os

os.environ["JAX_ENABLE_X64"] = "1"
