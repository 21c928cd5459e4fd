"""Importance sampling of a process over the unit hypercube, and unweighting."""
