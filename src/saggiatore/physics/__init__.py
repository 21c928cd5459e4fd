"""Hard processes: one event at a time, jax only; vmap lives outside."""
