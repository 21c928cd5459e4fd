"""Saggiatore: from simulated LHC events to a formula with its error bar.

Importing the package imports nothing else: every name a study can use is resolved by `saggiatore.registry`
when it is needed, so that a job that draws a figure does not pay for jax.

It turns off one pass of XLA for CPUs, before jax can start: in jaxlib 0.10.2 sums of products of many small matrices
come out wrong, without a word (https://github.com/jax-ml/jax/issues/39103).
"""

import os

_FUSION = "--xla_cpu_experimental_ynn_fusion_type="
if _FUSION not in os.environ.get("XLA_FLAGS", ""):
    # in front: XLA reads no further than the first word that is no flag
    os.environ["XLA_FLAGS"] = f"{_FUSION} {os.environ.get('XLA_FLAGS', '')}".strip()

__version__ = "0.1.0"
