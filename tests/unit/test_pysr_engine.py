"""PySR's contract, on recorded output; a real search where there is Julia."""

import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from saggiatore.distill.constant_fit import fit_constants
from saggiatore.distill.engine import Problem, pareto_front
from saggiatore.distill.expression import complexity, evaluate, parse
from saggiatore.distill.pysr_engine import PySRSpec, read_hall_of_fame
from saggiatore.errors import EngineError, FormulaError

GOLDEN = Path(__file__).parents[1] / "golden"
RECORDED = sorted((GOLDEN / "pysr").glob("*.csv"))
FEATURES = ("x_p1", "x_p2", "delta_eta", "delta_phi")
# not find_spec: pytest puts tests/golden on the path, whose folder `pysr` would pass for the package
HAS_PYSR = any(found.name == "pysr" for found in distributions())


def events() -> pd.DataFrame:
    return pd.read_parquet(GOLDEN / "wbf_score" / "events.parquet").astype(float)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_recorded_output_is_read(path):
    """Every equation keeps its value; our count of nodes is never larger, and the same where nothing simplifies."""
    table, rows = pd.read_csv(path), read_hall_of_fame(path, FEATURES)
    data = {name: column.to_numpy() for name, column in events()[list(FEATURES)].head(100).items()}
    scope = {"sin": np.sin, "square": np.square, "cube": lambda x: x**3, **data}
    assert len(rows) == len(table) > 10
    for row, text in zip(rows, table["Equation"], strict=True):
        found = evaluate(row.form.expression, {**data, **row.form.values}, np) * np.ones(100)
        np.testing.assert_allclose(found, eval(text, scope) * np.ones(100), rtol=1e-6)
        assert complexity(row.form.expression) <= row.complexity
    assert [complexity(row.form.expression) for row in rows[:6]] == [row.complexity for row in rows[:6]]


def test_recorded_fronts_pass_through_the_common_front():
    """x_p1 x_p2 sin(delta_phi) is what every recorded search found with eight nodes."""
    data = events()
    y = data["joint_score"].to_numpy()
    problem = Problem(FEATURES, data[list(FEATURES)].to_numpy(), y, np.ones(len(data)))
    for path in RECORDED:
        front = pareto_front(problem, [row.form for row in read_hall_of_fame(path, FEATURES)], 30)
        losses = [member.loss for member in front]
        assert losses == sorted(losses, reverse=True)
        eight = next(member for member in front if member.complexity == 8)
        assert eight.form.expression == parse("a*x_p1*x_p2*sin(delta_phi)")
        assert eight.loss <= fit_constants(eight.form, problem.columns, y, problem.share).loss * (1 + 1e-6)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("", EngineError),
        ("Complexity,Loss\n1,2\n", EngineError),
        ("Complexity,Loss,Equation\n", EngineError),
        ('Complexity,Loss,Equation\n1,0.1,"system(x)"\n', FormulaError),
    ],
)
def test_damaged_output_is_refused(tmp_path, content, error):
    path = tmp_path / "hall_of_fame.csv"
    with pytest.raises(EngineError, match="no readable hall of fame"):
        read_hall_of_fame(path, FEATURES)
    path.write_text(content)
    with pytest.raises(error):
        read_hall_of_fame(path, FEATURES)


def test_deterministic_needs_serial():
    with pytest.raises(ValidationError, match="serial"):
        PySRSpec(parallelism="multithreading")
    arguments = PySRSpec().arguments(Path("folder"))
    assert arguments["deterministic"] is True
    assert arguments["parallelism"] == "serial"
    assert arguments["nested_constraints"] == {"sin": {"sin": 0}}


@pytest.mark.skipif(HAS_PYSR, reason="PySR is installed")
def test_without_pysr_the_error_says_what_to_do():
    with pytest.raises(EngineError, match=r"envs/distill.yaml.*kind: operon"):
        PySRSpec().build().version()


def test_pysr_is_not_started_beside_jax():
    code = (
        "import jax, pathlib\n"
        "from saggiatore.distill.pysr_engine import start_pysr\n"
        "from saggiatore.errors import EngineError\n"
        "try:\n    start_pysr()\nexcept EngineError as error:\n    print(error)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert "imported jax" in found.stdout


@pytest.mark.julia
@pytest.mark.skipif(not HAS_PYSR, reason="no PySR, no Julia")
def test_a_real_search_finds_a_product(tmp_path):
    """In a process without jax, since this one may have imported it."""
    code = (
        "import numpy as np, sys\nfrom pathlib import Path\n"
        "from saggiatore.distill.engine import Problem, pareto_front\n"
        "from saggiatore.distill.pysr_engine import PySRSpec\n"
        "x = np.random.default_rng(1).uniform(0.1, 2, (500, 2))\n"
        "problem = Problem(('x', 'y'), x, 1.5 * x[:, 0] * np.sin(x[:, 1]), np.ones(500))\n"
        "spec = PySRSpec(n_iterations=5, n_populations=4, max_complexity=10)\n"
        "forms = spec.build().search(problem, 1, Path(sys.argv[1]))\n"
        "print(min(member.loss for member in pareto_front(problem, forms, 10)))\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    assert float(found.stdout.split()[-1]) < 1e-6
    assert (tmp_path / "run" / "hall_of_fame.csv").is_file()
