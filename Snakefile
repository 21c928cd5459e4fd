"""Saggiatore: from simulated LHC events to a formula with its error bar. Studies: config/studies/*.yaml."""

import sys

sys.path.insert(0, f"{workflow.basedir}/src")

from saggiatore.workflow import Plan


configfile: "config/config.yaml"


# the trap keeps the shell waiting when a scheduler signals the whole job: its program may still save what it has
shell.prefix(
    f"set -euo pipefail; trap : TERM; export PYTHONPATH={workflow.basedir}/src; "
)

plan = Plan(
    workflow.basedir, config, conda=bool(workflow.deployment_settings.deployment_method)
)


wildcard_constraints:
    study="[a-z][a-z0-9_]*",
    stage="[a-z]+",
    label="[a-z][a-z0-9_]*",
    shard="[0-9]+",


include: "rules/spec.smk"
include: "rules/sampler.smk"
include: "rules/events.smk"
include: "rules/models.smk"
include: "rules/draws.smk"
include: "rules/formulas.smk"
include: "rules/information.smk"
include: "rules/control.smk"
include: "rules/figures.smk"
include: "rules/bundle.smk"


localrules:
    all,
    spec,


rule all:
    input:
        plan.targets(),
