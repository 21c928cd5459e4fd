"""How a step starts as a program."""

import subprocess
import sys
import textwrap

PROGRAM = """
    import gc, runpy, sys
    from saggiatore.steps import verify
    seen = []
    def run(path: str) -> None:
        seen.extend([gc.isenabled(), gc.get_freeze_count() > 10_000])
    verify.run = run
    sys.argv = ["saggiatore", "verify", "BUNDLE"]
    try:
        runpy.run_module("saggiatore", run_name="__main__")
    except SystemExit as end:
        print(end.code, *seen)
"""


def test_garbage_is_looked_for_while_a_step_runs_but_not_among_its_modules():
    found = subprocess.run([sys.executable, "-c", textwrap.dedent(PROGRAM)], capture_output=True, text=True)
    assert found.stdout.split() == ["0", "True", "True"], found.stderr
