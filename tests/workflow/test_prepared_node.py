"""One command on a login node, through Snakemake's own conda code; its conda is a script that makes empty folders."""

import os
import subprocess
import sys

import pytest
from house import copy_house

pytestmark = [pytest.mark.workflow, pytest.mark.thorough]

CONDA = """\
#!{python}
import json, os, sys
from pathlib import Path
words = sys.argv[1:]
if words == ["--version"]:
    print("conda 24.7.1")
elif words[:1] == ["info"]:
    print(json.dumps({{"conda_prefix": "{base}", "platform": "linux-64", "conda_version": "24.7.1"}}))
elif words[:2] == ["config", "--get"]:
    print(json.dumps({{"get": {{"channel_priority": "strict"}}, "success": True, "warnings": []}}))
elif words[:2] == ["env", "create"] and "CONDA_IS_OFFLINE" in os.environ:
    sys.exit("CondaHTTPError: HTTP 000 CONNECTION FAILED")
elif words[:2] == ["env", "create"]:
    binaries = Path(words[words.index("--prefix") + 1]) / "bin"
    binaries.mkdir(parents=True)
    (binaries / "python").write_text("#!/bin/sh\\necho " + str(binaries) + " $CONDA_OVERRIDE_CUDA\\n")
    (binaries / "python").chmod(0o755)
"""


def test_environments_and_depot_are_made_by_one_command(tmp_path):
    house, base = tmp_path / "house", tmp_path / "base"
    copy_house(house)
    (base / "bin").mkdir(parents=True)
    (base / "bin" / "activate").touch()
    (base / "bin" / "conda").write_text(CONDA.format(python=sys.executable, base=base))
    (base / "bin" / "conda").chmod(0o755)
    (house / "config" / "config.yaml").write_text("studies: [wbf_cp]\n")  # one with PySR

    def prepare(**variables):
        path = {"PATH": f"{base / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(house / "src")}
        command = [sys.executable, "-m", "saggiatore", "prepare", "--cuda", "12.4"]
        return subprocess.run(command, cwd=house, env=os.environ | path | variables, capture_output=True, text=True)

    found = prepare(CONDA_IS_OFFLINE="1")
    assert found.returncode == 1
    assert "CONNECTION FAILED" in found.stderr
    assert "Run this where there is a network" in found.stderr
    assert "Traceback" not in found.stderr
    found = prepare()
    assert found.returncode == 0, found.stdout + found.stderr
    made = [path for path in (house / ".snakemake" / "conda").iterdir() if (path / "bin" / "python").exists()]
    assert len(made) == len(list((house / "envs").glob("*.yaml")))
    (distill,) = (
        path for path in made if path.with_suffix(".yaml").read_text() == (house / "envs/distill.yaml").read_text()
    )
    assert f"{distill}/bin" in (house / "offline.sh").read_text(), "its Python said where Julia is"
    assert "JULIA_DEPOT_PATH" in (house / "offline.sh").read_text()
    assert not (house / "results").exists(), "no job ran"
