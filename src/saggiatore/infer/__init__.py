"""Posteriors over networks with numpyro, and their calibration."""
