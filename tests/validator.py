"""The public validator of RO-Crates, without a network.

It asks for the JSON-LD contexts of RO-Crate and of its workflow-run terms over http; what it would be answered is put
into its cache before: the context that the package rocrate brings, and the few workflow-run terms.
"""

import io
import json
import subprocess
import sys
from importlib import resources
from pathlib import Path

from requests import Response
from requests.adapters import BaseAdapter
from requests_cache import CachedSession
from urllib3 import HTTPResponse

PROFILE = "provenance-run-crate-0.5"
_RUN = "https://w3id.org/ro/terms/workflow-run"
_RUN_TERMS = (
    "sha256 sha1 md5sum ParameterConnection sourceParameter targetParameter connection environment containerImage "
    "ContainerImage tag registry resourceUsage"
)
_BIOSCHEMAS = "https://bioschemas.org/"


def contexts():
    """Address -> document. RO-Crate 1.1 has the Bioschemas terms elsewhere than the bundled 1.3."""
    terms = json.loads(resources.files("rocrate").joinpath("data/ro-crate.jsonld").read_text())["@context"]
    terms |= {name: _BIOSCHEMAS + name for name in ("ComputationalWorkflow", "FormalParameter")}
    terms |= {name: f"{_BIOSCHEMAS}ComputationalWorkflow#{name}" for name in ("input", "output")}
    run = {name: f"{_RUN}#{name}" for name in _RUN_TERMS.split()}
    documents = {"https://w3id.org/ro/crate/1.1/context": terms, f"{_RUN}/context": run}
    return {address: json.dumps({"@context": document}).encode() for address, document in documents.items()}


class _Answers(BaseAdapter):
    """Answers each address with its document."""

    def send(self, request, **_):
        answer = Response()
        answer.status_code, answer.url, answer.request = 200, request.url, request
        answer.headers["Content-Type"] = "application/ld+json"
        answer.raw = HTTPResponse(
            io.BytesIO(contexts()[request.url]),
            {"Content-Type": "application/ld+json"},
            200,
            preload_content=False,
            request_url=request.url,
            request_method="GET",
        )
        return answer

    def close(self):
        pass


def validate(crate, folder):
    """Exit code and text of the validator's required checks of the Provenance Run Crate profile."""
    session = CachedSession(str(folder / "cache"), backend="sqlite", expire_after=-1)
    session.mount("https://", _Answers())
    for address in contexts():
        session.get(address)
    session.close()
    program = Path(sys.executable).parent / "rocrate-validator"
    command = [program, "-y", "validate", "-p", PROFILE, "-l", "required", "--no-paging", "--offline"]
    command += ["--cache-path", folder / "cache", "-o", folder / "said.txt", crate]
    found = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    said = (folder / "said.txt").read_text() if (folder / "said.txt").exists() else ""
    return found.returncode, said + found.stdout + found.stderr
