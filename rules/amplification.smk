rule amplification:
    input:
        spec="results/{study}/spec/amplification.{label}.json",
        events=lambda wc: plan.inputs(wc.study, "amplification", wc.label, "events"),
    output:
        "results/{study}/tables/{label}.amplification.parquet",
    log:
        "results/{study}/logs/amplification.{label}.log",
    benchmark:
        "results/{study}/benchmarks/amplification.{label}.tsv"
    priority: lambda wc: plan.priority(wc.study, "amplification", wc.label)
    conda:
        "../envs/infer.yaml"
    resources:
        mem_mb=plan.request("amplification").mem_mb,
        runtime=plan.request("amplification").runtime,
        cpus_per_task=plan.request("amplification").cpus_per_task,
        gpu=plan.request("amplification").gpu,
    params:
        code=lambda wc: plan.code_of(
            "amplification", wc.study, "amplification", wc.label
        ),
    shell:
        "python -m saggiatore amplification --gpu {resources.gpu} --spec {input.spec:q} --code {params.code} "
        "--events {input.events:q} --out {output:q} > {log:q} 2>&1"
