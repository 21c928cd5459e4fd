"""What this machine can do, and what a study needs of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from saggiatore import machine
from saggiatore.chosen import chosen_studies, expanded, read_mapping
from saggiatore.errors import MachineError
from saggiatore.machine import Finding

# distributions that the jobs of every study import
PACKAGES = ("snakemake", "jax", "equinox", "optax", "diffrax", "numpyro", "pyarrow", "pandas", "matplotlib", "mplhep")
MEMORY = 3.0  # GB; two jobs of the default study at once took 1.7 GB
DISK = 2.0  # GB; the default study writes 0.2 GB


def run(
    *,
    study: str = "",
    config: Path = Path("config/config.yaml"),
    partitions: Path = Path("profiles/cluster/partitions.yaml"),
) -> None:
    """Say what is here, what is not and the line that installs it; fail if the study (the default one) cannot run.

    Raises:
        StudyError: if there is no such study.
        MachineError: naming what the study needs and this machine lacks.
    """
    contents = {name: read_mapping(config.parent / "studies" / f"{name}.yaml") for name in _names(study, config)}
    findings = {
        "packages": machine.packages(PACKAGES),
        "devices": machine.devices(),
        "memory": machine.memory(MEMORY),
        "disk": machine.disk(Path(), DISK),
        "pythia": machine.pythia(),
        "density": machine.parton_densities(_values(contents, "parton_density")),
        "operon": machine.operon(),
        "julia": machine.julia(),
        "conda": machine.conda(),
        "slurm": machine.slurm(partitions),
    }
    needed = {"packages", "devices", "memory", "disk", "density"} | _engines(contents)
    print("\n".join(line for name, finding in findings.items() for line in _lines(finding, name in needed)))
    faults = [findings[name] for name in findings if name in needed and not findings[name].is_there]
    names = ", ".join(f"'{name}'" for name in contents)
    if faults:
        listed = "\n  ".join(f"{each.part}: {each.text}. {each.advice}" for each in faults)
        raise MachineError(f"{names} cannot run here:\n  {listed}")
    print(f"\n{names} can run here.")


def _engines(contents: dict[str, Any]) -> set[str]:
    """Findings that the studies' engines of symbolic regression stand on."""
    kinds = {engine.get("kind") for engine in _values(contents, "engine") if isinstance(engine, dict)}
    return {finding for kind, finding in (("operon", "operon"), ("pysr", "julia")) if kind in kinds}


def _lines(finding: Finding, is_needed: bool) -> Iterator[str]:
    state = "ok" if finding.is_there else "FAULT" if is_needed else "absent"
    yield f"{finding.part:<17} {state:<7} {finding.text}"
    if finding.advice:
        yield f"{'':<25} -> {finding.advice}"


def _names(study: str, config: Path) -> list[str]:
    return expanded([study], read_mapping(config)) if study else chosen_studies(config)


def _values(node: Any, key: str) -> Iterator[Any]:
    """Everything that stands under `key`, at any depth."""
    if isinstance(node, dict):
        for name, item in node.items():
            if name == key:
                yield item
            yield from _values(item, key)
    elif isinstance(node, list):
        for item in node:
            yield from _values(item, key)
