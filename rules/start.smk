from pathlib import Path

from saggiatore import runs
from saggiatore.unrecorded import complaint

# held until Snakemake ends, however it ends: the next run sees by it whether a lock's owner lives
living = runs.join(Path.cwd()) if workflow.is_main_process else None

# a folder without Snakemake's records: what a changed study would make anew is not to be taken for up to date
if workflow.is_main_process and (told := complaint(Path.cwd(), plan, sys.argv)):
    sys.exit(told)


# From here on there may be garbage (Snakefile).
# Snakemake's limit on jobs a second starts one more timer with each job, and every timer goes through the queue once a
# second for the rest of the run: hundreds of jobs would keep a core busy. One machine has no submission to slow down.
onstart:
    gc.freeze()
    gc.enable()
    if not workflow.non_local_exec:
        workflow.scheduler.job_rate_limiter = None
