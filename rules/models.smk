rule models:
    input:
        spec="results/{study}/spec/models.{label}.json",
        events=lambda wc: plan.inputs(wc.study, "models", wc.label, "events"),
        against=lambda wc: plan.inputs(wc.study, "models", wc.label, "task.against"),
        start=lambda wc: plan.inputs(wc.study, "models", wc.label, "start"),
        classifier=lambda wc: plan.inputs(
            wc.study, "models", wc.label, "task.classifier"
        ),
    output:
        model="results/{study}/models/{label}.eqx",
        history="results/{study}/models/{label}.history.parquet",
    log:
        "results/{study}/logs/models.{label}.log",
    benchmark:
        "results/{study}/benchmarks/models.{label}.tsv"
    priority: lambda wc: plan.priority(wc.study, "models", wc.label)
    conda:
        "../envs/learn.yaml"
    resources:
        mem_mb=plan.request("models").mem_mb,
        runtime=plan.request("models").runtime,
        cpus_per_task=plan.request("models").cpus_per_task,
        gpu=plan.request("models").gpu,
    params:
        code=lambda wc: plan.code_of("models", wc.study, "models", wc.label),
        checkpoint="results/{study}/models/.{label}.checkpoint",
    shell:
        "python -m saggiatore models --gpu {resources.gpu} --spec {input.spec:q} --code {params.code} --events {input.events:q} --against {input.against:q} "
        "--start {input.start:q} --classifier {input.classifier:q} --checkpoint {params.checkpoint:q} --model {output.model:q} --history {output.history:q} > {log:q} 2>&1"
