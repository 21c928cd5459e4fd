# From here on there may be garbage (Snakefile).
# Snakemake's limit on jobs a second starts one more timer with each job, and every timer goes through the queue once a
# second for the rest of the run: hundreds of jobs would keep a core busy. One machine has no submission to slow down.
onstart:
    gc.freeze()
    gc.enable()
    if not workflow.non_local_exec:
        workflow.scheduler.job_rate_limiter = None
