"""The house rules, checked: layers, freshness of the schema, style, sizes, pins."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "saggiatore"

# A module imports only from its own row and the rows above it.
LAYERS = [
    {
        "types",
        "units",
        "errors",
        "measured",
        "constraint",
        "spec",
        "files",
        "compilation",
        "libraries",
        "programs",
        "gpu",
        "runs",
    },
    {"tables", "provenance", "schema", "sources", "fingerprint", "number", "record", "table_numbers", "tabular"},
    {"registry"},
    {"job"},
    {"physics"},
    {"integrate"},
    {"formats"},
    {"models"},
    {"tasks"},
    {"learn"},
    {"infer"},
    {"distill"},
    {"limits"},
    {"figures"},
    {
        "bundle",
        "chosen",
        "machine",
        "watch",
        "attribution",
        "crate",
        "verification",
        "zenodo",
        "comparison",
        "report",
        "deposit",
    },
    {"steps"},
    {"study"},
    {"artefacts", "plan_checks", "study_file"},
    {"graph"},
    {"request", "workflow", "places", "explain", "unrecorded", "__main__"},
]
# the step that exports what study.py defines, and the one that explains the workflow
EXCEPTIONS = {("steps/schema.py", "study"), ("steps/why.py", "explain"), ("steps/why.py", "workflow")}


def modules():
    return sorted(PACKAGE.rglob("*.py"))


def layer(name):
    found = [row for row, names in enumerate(LAYERS) if name in names]
    assert found, f"'{name}' has no row in LAYERS: put it where it belongs"
    return found[0]


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_module_imports_only_from_the_rows_above(path):
    here = path.relative_to(PACKAGE)
    own = here.parts[0].removesuffix(".py")
    if own == "__init__":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module == "saggiatore":
            names = [f"saggiatore.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            parts = name.split(".")
            if parts[0] == "saggiatore" and len(parts) > 1 and (here.as_posix(), parts[1]) not in EXCEPTIONS:
                assert layer(parts[1]) <= layer(own), f"{here} imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_sizes_hold(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 250
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 40, f"{path.name}: {node.name} is too long"


def test_rule_files_are_short_and_shell_only():
    for path in (ROOT / "rules").glob("*.smk"):
        text = path.read_text()
        assert len(text.splitlines()) < 120, path
        assert not re.search(r"^\s*(run|script|notebook|retries):", text, re.MULTILINE), path
    assert len((ROOT / "Snakefile").read_text().splitlines()) <= 50


def test_the_schema_is_in_step_with_the_specs(tmp_path):
    """Made in a process of its own: importing every spec class here would slow every other test."""
    out = tmp_path / "schema.json"
    subprocess.run([sys.executable, "-m", "saggiatore", "schema", "--out", str(out)], check=True, cwd=ROOT)
    fresh = json.loads(out.read_text())
    kept = json.loads((ROOT / "config" / "schema" / "study.schema.json").read_text())
    assert fresh == kept, "run: python -m saggiatore schema"


def test_limits_between_fields_are_known_to_the_plan():
    """A validator of a spec class runs in a job, not when a study is planned: `constraints` are asked in both."""
    found = [
        path for path in modules() if "@model_validator" in path.read_text() or "@field_validator" in path.read_text()
    ]
    assert [path.name for path in found] == ["spec.py"]


def test_the_workflow_module_imports_no_jax():
    code = "import sys, saggiatore.workflow, saggiatore.__main__; sys.exit('jax' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_distillation_imports_no_jax():
    """PySR starts Julia, which must not share a process with jax."""
    code = (
        "import sys, saggiatore.steps.distill, saggiatore.distill.operon_engine, saggiatore.distill.pysr_engine;"
        "sys.exit('jax' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_jobs_of_the_plotting_environment_import_only_what_it_has():
    """envs/plot.yaml has neither jax nor the packages that come with it."""
    steps = {
        step.replace("-", "_")
        for path in (ROOT / "rules").glob("*.smk")
        for rule in re.split(r"^rule ", path.read_text(), flags=re.M)
        if "envs/plot.yaml" in rule
        for step in re.findall(r"-m saggiatore ([a-z-]+)", rule)
    }
    assert {"figures", "hepdata", "bundle"} <= steps
    absent = ("jax", "jaxtyping", "equinox", "numpyro", "sklearn", "tqdm")
    code = f"import sys; sys.modules.update(dict.fromkeys({absent}));"
    code += "; ".join(f"import saggiatore.steps.{step}" for step in sorted(steps))
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "format", "--check", "."],
        ["ruff", "check", "."],
        ["snakefmt", "--check", "Snakefile", "rules"],
        ["snakemake", "--lint"],
        pytest.param(["mypy"], marks=pytest.mark.thorough),  # 40 s without its cache
    ],
    ids=" ".join,
)
def test_style(command):
    program = Path(sys.executable).parent / command[0]
    found = subprocess.run([program, *command[1:]], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr


def test_conda_environments_pin_what_the_lock_pins():
    lock = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE))
    for path in sorted((ROOT / "envs").glob("*.yaml")):
        for entry in _flat(yaml.safe_load(path.read_text())["dependencies"]):
            name, version = re.fullmatch(r"([\w-]+) ?={1,2}(\S+)(?: \S+)?|pip", entry).groups()
            if name not in (None, "python", "julia", "pysr"):
                assert version == lock[name], f"{path.name}: {entry}, the lock has {lock[name]}"


def test_the_lock_names_no_index():
    for name in ("requirements.txt", "requirements-installer.txt", "requirements.in"):
        assert not re.search(r"https?://|--index|--find-links|--extra-index", (ROOT / name).read_text())


def _flat(entries):
    for entry in entries:
        if isinstance(entry, dict):
            yield from entry["pip"]
        else:
            yield entry
