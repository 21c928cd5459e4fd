"""Saggiatore: from simulated LHC events to a formula with its error bar. Studies: config/studies/*.yaml."""

import gc
import sys
from shlex import quote

gc.disable()  # until the graph stands nothing is garbage, and looking for some takes long
sys.path.insert(0, f"{workflow.basedir}/src")

from saggiatore.workflow import planned


configfile: "config/config.yaml"


# the trap keeps the shell waiting when a scheduler signals the whole job: its program may still save what it has
shell.prefix(
    f"set -euo pipefail; trap : TERM; export PYTHONPATH={quote(workflow.basedir)}/src SAGGIATORE_RECORD=1; "
)

plan = planned(
    workflow.basedir, config, conda=bool(workflow.deployment_settings.deployment_method)
)


wildcard_constraints:
    study="[a-z][a-z0-9_]*",
    stage="[a-z]+",
    label="[a-z][a-z0-9_]*",
    shard="[0-9]+",


# how jobs start, the spec of each section, the stages in the order of the graph, and what closes a study
for rules in (
    *("start", "spec", "sampler", "events", "events_derived", "models", "draws"),
    *("formulas", "structures", "information", "limits", "ratios", "accuracy"),
    *("control", "densities", "amplification", "figures", "hepdata", "bundle"),
):

    include: f"rules/{rules}.smk"


localrules:
    all,
    spec,


rule all:
    input:
        plan.targets(),
