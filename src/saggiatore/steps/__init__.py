"""One file a rule of the workflow: run(job, *, inputs, out)."""
