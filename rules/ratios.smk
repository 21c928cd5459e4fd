rule ratios:
    input:
        spec="results/{study}/spec/ratios.{label}.json",
        test=lambda wc: plan.inputs(wc.study, "ratios", wc.label, "test"),
        models=lambda wc: plan.inputs(wc.study, "ratios", wc.label, "models"),
        draws=lambda wc: plan.inputs(wc.study, "ratios", wc.label, "posteriors"),
        drawn=lambda wc: plan.behind(
            wc.study, "ratios", wc.label, "posteriors", "model"
        ),
    output:
        ratios="results/{study}/tables/{label}.ratios.parquet",
        log_ratios="results/{study}/tables/{label}.log_ratios.parquet",
    log:
        "results/{study}/logs/ratios.{label}.log",
    benchmark:
        "results/{study}/benchmarks/ratios.{label}.tsv"
    priority: lambda wc: plan.priority(wc.study, "ratios", wc.label)
    conda:
        "../envs/infer.yaml"
    resources:
        mem_mb=plan.request("ratios").mem_mb,
        runtime=plan.request("ratios").runtime,
        cpus_per_task=plan.request("ratios").cpus_per_task,
        gpu=plan.request("ratios").gpu,
    params:
        code=lambda wc: plan.code_of("ratios", wc.study, "ratios", wc.label),
    shell:
        "python -m saggiatore ratios --gpu {resources.gpu} --spec {input.spec:q} --code {params.code} --test {input.test:q} "
        "--models {input.models:q} --draws {input.draws:q} --drawn {input.drawn:q} "
        "--ratios {output.ratios:q} --log-ratios {output.log_ratios:q} > {log:q} 2>&1"
