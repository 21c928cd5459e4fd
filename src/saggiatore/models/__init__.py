"""Networks as equinox modules: one model and its Spec a file."""
