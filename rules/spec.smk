rule spec:
    output:
        "results/{study}/spec/{stage}.{label}.json",
    log:
        "results/{study}/logs/spec.{stage}.{label}.log",
    priority: lambda wc: plan.priority(wc.study, wc.stage, wc.label)
    conda:
        "../envs/plot.yaml"
    params:
        content=lambda wc: plan.job(wc.study, wc.stage, wc.label),
    shell:
        "python -m saggiatore spec --content {params.content:q} --out {output:q} > {log:q} 2>&1"
