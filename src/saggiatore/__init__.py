"""Saggiatore: from simulated LHC events to a formula with its error bar.

Importing the package imports nothing else: every name a study can use is resolved by `saggiatore.registry`
when it is needed, so that a job that draws a figure does not pay for jax.
"""

__version__ = "0.1.0"
