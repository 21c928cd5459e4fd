"""What the running jobs are doing."""

import contextlib
import time
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table

from saggiatore.errors import StudyError
from saggiatore.watch import studies_of, survey, view

RESULTS = Path("results")
STUDIES = Path("config/studies")


def run(*, study: str = "", once: bool = False) -> None:
    """Show epoch, loss and remaining time of the jobs that run, of all studies or of one, until it is interrupted.

    It may be started before the run: a study without logs has no jobs yet.

    Raises:
        StudyError: if there is no such study, neither in results/ nor in config/studies/.
    """
    known = studies_of(RESULTS)
    if study and study not in known and not (STUDIES / f"{study}.yaml").is_file():
        raise StudyError(f"no study is called '{study}'; there are logs of {', '.join(known) or 'no study'}.")
    if once:
        Console().print(_now(study))
        return
    with contextlib.suppress(KeyboardInterrupt), Live(refresh_per_second=1) as live:
        while True:
            live.update(_now(study))
            time.sleep(1)


def _now(study: str) -> Table:
    """The view of this moment, with the studies that have begun since the last one."""
    return view(survey(RESULTS, [study] if study else studies_of(RESULTS), time.time()))
