"""Why a file would be made again."""

from pathlib import Path

import yaml

from saggiatore.errors import StudyError

CONFIG = Path("config/config.yaml")


def run(target: Path) -> None:
    """Say in words what Snakemake would run for a file, and because of which key, module or file.

    Raises:
        StudyError: if the file is none of a study's, or Snakemake cannot plan it.
    """
    from saggiatore.explain import causes, dry_run  # here: no other step sees the workflow
    from saggiatore.workflow import Plan

    parts = target.parts
    if parts[:1] != ("results",) or len(parts) < 3 or not Path("Snakefile").is_file():
        raise StudyError(
            f"{target}: expected a file such as results/quick/figures/score.pdf, from the repository's root."
        )
    study = Path(parts[2]).stem if parts[1] == "bundles" else parts[1]
    plan = Plan(Path(), {**yaml.safe_load(CONFIG.read_text(encoding="utf-8")), "studies": [study]})
    plan.study(study)
    jobs = dry_run(Path(), study, target.as_posix())
    if not jobs:
        print(f"{target} is up to date.")
        return
    found: dict[str, list[str]] = {}
    for job in jobs:
        for cause in causes(plan, job):
            found.setdefault(cause, []).append(job.name)
    own = [job.name for job in jobs if job.rule != "spec"]  # that a spec is written again is told by its keys
    print(f"{target} would be made again, by {len(own)} job{'s' * (len(own) != 1)}, because of")
    for cause, names in found.items():
        print(f"  {cause}\n    seen by {', '.join(sorted(set(names)))}")
    print("Jobs: " + ", ".join(dict.fromkeys(own)))
