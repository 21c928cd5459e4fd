rule events_ratio:
    input:
        spec="results/{study}/spec/events.{label}.json",
        numerator=lambda wc: plan.inputs(wc.study, "events", wc.label, "numerator"),
        denominator=lambda wc: plan.inputs(wc.study, "events", wc.label, "denominator"),
    output:
        temp("results/{study}/events/{label}/ratio.parquet"),
    log:
        "results/{study}/logs/events.{label}.ratio.log",
    benchmark:
        "results/{study}/benchmarks/events.{label}.ratio.tsv"
    priority: lambda wc: plan.priority(wc.study, "events", wc.label)
    conda:
        "../envs/simulate.yaml"
    resources:
        mem_mb=plan.request("events_ratio").mem_mb,
        runtime=plan.request("events_ratio").runtime,
        cpus_per_task=plan.request("events_ratio").cpus_per_task,
        gpu=plan.request("events_ratio").gpu,
    params:
        code=lambda wc: plan.code_of("events_ratio", wc.study, "events", wc.label),
    shell:
        "python -m saggiatore events-ratio --gpu {resources.gpu} --spec {input.spec:q} --code {params.code} --numerator {input.numerator:q} "
        "--denominator {input.denominator:q} --out {output:q} > {log:q} 2>&1"
