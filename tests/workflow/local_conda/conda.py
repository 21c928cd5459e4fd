"""The conda commands that Snakemake calls, answered by py-rattler: the same solver and installer as pixi's.

Channels are folders of LOCAL_CHANNELS. Requirements of pip's come from the wheels of LOCAL_WHEELS alone.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import rattler
import yaml

BASE = Path(sys.argv[0]).resolve().parent.parent


def main(words: list[str]) -> None:
    """Answer one command line of conda's."""
    if words == ["--version"]:
        print("conda 24.7.1")
    elif words[:1] == ["info"]:
        print(json.dumps({"conda_prefix": str(BASE), "platform": "linux-64", "conda_version": "24.7.1"}))
    elif words[:2] == ["config", "--get"]:
        print(json.dumps({"get": {"channel_priority": "strict"}, "success": True, "warnings": []}))
    elif words[:2] == ["env", "create"]:
        parser = argparse.ArgumentParser()
        parser.add_argument("--file", type=Path, required=True)
        parser.add_argument("--prefix", type=Path, required=True)
        asked, _ = parser.parse_known_args(words[2:])
        create(asked.prefix, yaml.safe_load(asked.file.read_text()))
    elif words[:1] != ["clean"]:  # its cache serves the next environment
        sys.exit(f"this conda answers no '{' '.join(words)}'")


def create(prefix: Path, environment: dict) -> None:
    """Solve and install; then pip's part, with the environment's own pip."""
    entries = environment["dependencies"]
    asyncio.run(_install(prefix, environment["channels"], [entry for entry in entries if isinstance(entry, str)]))
    if wanted := [line for entry in entries if isinstance(entry, dict) for line in entry["pip"]]:
        pip = [prefix / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-index"]
        subprocess.run([*pip, "--find-links", os.environ["LOCAL_WHEELS"], *wanted], check=True)


async def _install(prefix: Path, channels: list[str], specs: list[str]) -> None:
    folders = [(Path(os.environ["LOCAL_CHANNELS"]) / channel).as_uri() for channel in channels]
    system = rattler.VirtualPackage.detect()
    solved = await rattler.solve(folders, specs, platforms=["linux-64", "noarch"], virtual_packages=system)
    await rattler.install(solved, prefix, cache_dir=BASE / "pkgs", show_progress=False)


if __name__ == "__main__":
    main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(0)  # py-rattler 0.28 crashes now and then when the interpreter ends
