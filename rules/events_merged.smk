rule events_merged:
    input:
        spec="results/{study}/spec/events.{label}.json",
        sources=lambda wc: plan.inputs(wc.study, "events", wc.label, "of"),
    output:
        temp("results/{study}/events/{label}/merged.parquet"),
    log:
        "results/{study}/logs/events.{label}.merged.log",
    benchmark:
        "results/{study}/benchmarks/events.{label}.merged.tsv"
    priority: lambda wc: plan.priority(wc.study, "events", wc.label)
    conda:
        "../envs/simulate.yaml"
    resources:
        mem_mb=plan.request("events_merged").mem_mb,
        runtime=plan.request("events_merged").runtime,
        cpus_per_task=plan.request("events_merged").cpus_per_task,
        gpu=plan.request("events_merged").gpu,
    params:
        code=lambda wc: plan.code_of("events_merged", wc.study, "events", wc.label),
    shell:
        "python -m saggiatore events-merged --gpu {resources.gpu} --spec {input.spec:q} --code {params.code} "
        "--sources {input.sources:q} --out {output:q} > {log:q} 2>&1"
