"""What the running jobs are doing."""

import contextlib
import time
from pathlib import Path

from rich.console import Console
from rich.live import Live

from saggiatore.errors import StudyError
from saggiatore.watch import studies_of, survey, view

RESULTS = Path("results")


def run(*, study: str = "", once: bool = False) -> None:
    """Show epoch, loss and remaining time of the jobs that run, of all studies or of one, until it is interrupted.

    Raises:
        StudyError: if the study has no logs.
    """
    known = studies_of(RESULTS)
    if study and study not in known:
        raise StudyError(f"results/{study}/logs: no such folder; there are logs of {', '.join(known) or 'no study'}.")
    chosen = [study] if study else known
    if once:
        Console().print(view(survey(RESULTS, chosen, time.time())))
        return
    with contextlib.suppress(KeyboardInterrupt), Live(refresh_per_second=1) as live:
        while True:
            live.update(view(survey(RESULTS, chosen, time.time())))
            time.sleep(1)
