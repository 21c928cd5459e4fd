"""How programs that run once are compiled: for them, XLA's optimisation costs more than it saves."""

RUN_ONCE: dict[str, int] = {"xla_backend_optimization_level": 1}
