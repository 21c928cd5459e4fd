"""Step `models`: events in, a model and its history out, and what it refuses."""

import equinox as eqx
import jax
import numpy as np
import pytest

from saggiatore.errors import SchemaError, StudyError
from saggiatore.job import Job
from saggiatore.models.store import load_model
from saggiatore.steps import apply
from saggiatore.steps.models import ModelsSection, run
from saggiatore.tables import Column, TableSchema, read_table, write_table

N = 300
EVENTS = TableSchema(
    "events",
    1,
    (
        Column("weight", "pb", "weight"),
        Column("theta_a", "1", "a"),
        Column("joint_score_a", "1", "joint score"),
        Column("x", "GeV", "an observable", "$x$"),
    ),
)
MLP = {"task": {"kind": "joint_score", "parameter": "a"}, "model": {"kind": "mlp", "width": 4, "depth": 1}}
FLOW = {"task": {"kind": "density"}, "model": {"kind": "flow_matching", "width": 4, "depth": 1}}


def train(folder, theta, *, start=(), **section):
    rng = np.random.default_rng(0)
    x = rng.normal(size=N)
    columns = {"weight": np.full(N, 0.1), "theta_a": theta, "joint_score_a": 2 * x, "x": x}
    write_table(folder / "events.parquet", EVENTS, columns, {})
    training = {"n_epochs": 2, "batch_size": 50, "learning_rate": 0.01, "checkpoint_every": 1}
    training |= section.pop("training", {})
    content = {"events": "train", "features": ["x"], "training": training, "precision": "float64", **section}
    content |= {"start": "first"} if start else {}
    job = Job[ModelsSection](study="s", stage="models", label="m", seed=1, section=content)
    outputs = {"model": folder / "m.eqx", "history": folder / "m.history.parquet"}
    inputs = {"events": folder / "events.parquet", "against": [], "start": list(start), "classifier": []}
    run(job, code="c", **inputs, checkpoint=folder / ".checkpoint", **outputs)
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("section", "theta"), [(MLP, 0.0), (FLOW | {"context": ["a"]}, None)], ids=["mlp", "flow"])
def test_a_model_and_its_history_are_written_and_the_checkpoint_removed(tmp_path, section, theta):
    values = np.linspace(-1, 1, N) if theta is None else np.full(N, theta)
    assert train(tmp_path, values, **section) == ["events.parquet", "m.eqx", "m.history.parquet"]
    _, header = load_model(tmp_path / "m.eqx")
    assert header["features"] == [{"name": "x", "unit": "GeV", "label": "$x$"}]
    assert (header["parameters"], header["precision"]) == (["a"], "float64")
    assert header["provenance"]["spec"]["label"] == "m"
    history = read_table(tmp_path / "m.history.parquet", "history").data
    assert history["epoch"].tolist() == [1, 2]


def test_a_density_is_told_an_observable_and_has_no_score(tmp_path):
    train(tmp_path, np.zeros(N), **FLOW | {"features": ["joint_score_a"], "context": ["x"]})
    _, header = load_model(tmp_path / "m.eqx")
    assert header["context"] == [{"name": "x", "column": "x", "unit": "GeV", "label": "$x$"}]
    assert header["parameters"] == []
    with pytest.raises(StudyError, match="states no score"):
        apply.run(model=tmp_path / "m.eqx", events=tmp_path / "events.parquet", out=tmp_path / "out.parquet")


def test_a_density_is_told_a_parameter_and_an_observable(tmp_path):
    told = {"features": ["joint_score_a"], "context": ["a", "x"]}
    train(tmp_path, np.linspace(-1, 1, N), **FLOW | told)
    _, header = load_model(tmp_path / "m.eqx")
    assert [column["column"] for column in header["context"]] == ["theta_a", "x"]
    assert header["parameters"] == []


@pytest.mark.parametrize(
    ("section", "theta", "error", "message"),
    [
        (FLOW | {"context": ["y"]}, np.zeros(N), SchemaError, "no column 'theta_y'"),
        (MLP, np.linspace(0, 1, N), StudyError, "several values"),
        (FLOW | {"context": ["a"]}, np.zeros(N), StudyError, "events of many values"),
        (MLP | {"model": FLOW["model"]}, np.zeros(N), StudyError, "AbstractRegression"),
        (FLOW | {"model": MLP["model"], "context": ["a"]}, np.linspace(0, 1, N), StudyError, "no context"),
        (
            FLOW | {"model": FLOW["model"] | {"bounded": {"x": [1, -1]}}},
            np.zeros(N),
            ValueError,
            r"expected \[low, high\]",
        ),
        (MLP | {"features": ["y"]}, np.zeros(N), SchemaError, "no column 'y'"),
        (MLP | {"task": {"kind": "joint_score", "parameter": "b"}}, np.zeros(N), SchemaError, "joint_score_b"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, section, theta, error, message):
    with pytest.raises(error, match=message):
        train(tmp_path, theta, **section)
    assert [path.name for path in tmp_path.iterdir()] == ["events.parquet"]


def test_a_training_goes_on_from_another_model(tmp_path):
    """Steps of no size leave its weights and its standardisation as they are; another architecture is refused."""
    train(tmp_path, np.zeros(N), **MLP)
    first = (tmp_path / "m.eqx").rename(tmp_path / "first.eqx")
    train(tmp_path, np.zeros(N), start=[first], training={"learning_rate": 1e-14, "keep": "last"}, **MLP)
    models = [eqx.filter(load_model(tmp_path / name)[0], eqx.is_array) for name in ("first.eqx", "m.eqx")]
    for one, other in zip(*map(jax.tree.leaves, models), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-9)
    wider = MLP | {"model": MLP["model"] | {"width": 5}}
    with pytest.raises(StudyError, match=r"start: the model 'first' has spec .*'width': 4.*, here .*'width': 5"):
        train(tmp_path, np.zeros(N), start=[first], **wider)
