"""Events from a file depend on that file: a changed one is read again, however old, and an unchanged one is not."""

import os

import numpy as np
import pandas as pd
import pytest
from house import copy_house, snakemake

pytestmark = pytest.mark.thorough  # with Snakemake, but not part of the built oracle study

STUDY = """\
title: Muon pairs of a colleague
seed: 1
process: {kind: asymmetry}
events:
  mine: {source: flat, path: mine.csv}
"""
TARGET = "results/external/events/mine.parquet"
ENERGY = 45.6  # GeV


def write_muons(path, n_events, seed):
    """A table as a colleague would make it: flat in angle, with the weight and the score of p(c|A) at A = 0."""
    random = np.random.default_rng(seed)
    cos = random.uniform(-1, 1, n_events)
    phi = random.uniform(0, 2 * np.pi, n_events)
    sin = np.sqrt(1 - cos**2)
    muon = ENERGY * np.stack([sin * np.cos(phi), sin * np.sin(phi), cos])
    beam = ENERGY * np.array([np.zeros(n_events), np.zeros(n_events), np.ones(n_events)])
    columns = {"weight": 2 * 0.375 * (1 + cos**2) / n_events, "theta_a_fb": np.zeros(n_events)}
    columns["joint_score_a_fb"] = cos / (0.375 * (1 + cos**2))
    for leg, (pdg, momentum) in enumerate(((11, beam), (-11, -beam), (13, muon), (-13, -muon))):
        columns |= {f"leg{leg}_pdg": np.full(n_events, pdg), f"leg{leg}_e": np.full(n_events, ENERGY)}
        columns |= {f"leg{leg}_{part}": momentum[place] for place, part in enumerate(("px", "py", "pz"))}
    pd.DataFrame(columns).to_csv(path, index=False)


def test_a_changed_file_is_read_again(tmp_path):
    house = tmp_path / "house"
    copy_house(house)
    (house / "config" / "studies" / "external.yaml").write_text(STUDY)
    write_muons(house / "mine.csv", 50, seed=1)

    def plan():
        text = snakemake(house, "-n", "--config", "studies=[external]", "--", TARGET)
        return "rule events_file" in text

    text = snakemake(house, "--cores", "1", "--config", "studies=[external]", "--", TARGET)
    assert "rule sampler" not in text
    assert "rule events_shard" not in text
    found = pd.read_parquet(house / TARGET)
    assert len(found) == 50
    assert found["parton_score_a_fb"].equals(found["joint_score_a_fb"])
    assert not plan()
    (house / "mine.csv").touch()
    assert not plan()  # of a small file Snakemake remembers the checksum
    write_muons(house / "mine.csv", 50, seed=2)
    assert plan()
    os.utime(house / "mine.csv", (0, 0))
    assert plan()
    (house / "mine.csv").unlink()
    assert "mine.csv" in snakemake(house, "-n", "--config", "studies=[external]", "--", TARGET, check=False)
