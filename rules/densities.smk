rule densities:
    input:
        spec="results/{study}/spec/densities.{label}.json",
        model=lambda wc: plan.inputs(wc.study, "densities", wc.label, "model"),
        train=lambda wc: plan.inputs(wc.study, "densities", wc.label, "train"),
    output:
        draws="results/{study}/densities/{label}.parquet",
        diagnostics="results/{study}/densities/{label}.diagnostics.parquet",
    log:
        "results/{study}/logs/densities.{label}.log",
    benchmark:
        "results/{study}/benchmarks/densities.{label}.tsv"
    priority: lambda wc: plan.priority(wc.study, "densities", wc.label)
    conda:
        "../envs/infer.yaml"
    resources:
        mem_mb=plan.request("densities").mem_mb,
        runtime=plan.request("densities").runtime,
        cpus_per_task=plan.request("densities").cpus_per_task,
        gpu=plan.request("densities").gpu,
    params:
        code=lambda wc: plan.code_of("densities", wc.study, "densities", wc.label),
    shell:
        "python -m saggiatore densities --gpu {resources.gpu} --spec {input.spec:q} --code {params.code} --model {input.model:q} "
        "--train {input.train:q} --draws {output.draws:q} --diagnostics {output.diagnostics:q} > {log:q} 2>&1"


rule predictive:
    input:
        spec="results/{study}/spec/predictive.{label}.json",
        model=lambda wc: plan.along(
            wc.study, "predictive", wc.label, "density", "model"
        ),
        draws=lambda wc: plan.inputs(wc.study, "predictive", wc.label, "density"),
        truth=lambda wc: plan.inputs(wc.study, "predictive", wc.label, "truth"),
    output:
        "results/{study}/tables/{label}.predictive.parquet",
    log:
        "results/{study}/logs/predictive.{label}.log",
    benchmark:
        "results/{study}/benchmarks/predictive.{label}.tsv"
    priority: lambda wc: plan.priority(wc.study, "predictive", wc.label)
    conda:
        "../envs/infer.yaml"
    resources:
        mem_mb=plan.request("predictive").mem_mb,
        runtime=plan.request("predictive").runtime,
        cpus_per_task=plan.request("predictive").cpus_per_task,
        gpu=plan.request("predictive").gpu,
    params:
        code=lambda wc: plan.code_of("predictive", wc.study, "predictive", wc.label),
    shell:
        "python -m saggiatore predictive --gpu {resources.gpu} --spec {input.spec:q} --code {params.code} --model {input.model:q} "
        "--draws {input.draws:q} --truth {input.truth:q} --out {output:q} > {log:q} 2>&1"
