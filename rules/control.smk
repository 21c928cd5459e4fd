rule control:
    input:
        spec="results/{study}/spec/control.{label}.json",
        truth=lambda wc: plan.inputs(wc.study, "control", wc.label, "truth"),
        events=lambda wc: plan.inputs(wc.study, "control", wc.label, "entries.events"),
        classifiers=lambda wc: plan.inputs(
            wc.study, "control", wc.label, "entries.classifier"
        ),
    output:
        control="results/{study}/tables/{label}.control.parquet",
        marginals="results/{study}/tables/{label}.marginals.parquet",
        weights="results/{study}/tables/{label}.weights.parquet",
        reliability="results/{study}/tables/{label}.reliability.parquet",
        tails="results/{study}/tables/{label}.tails.parquet",
        clusters="results/{study}/tables/{label}.clusters.parquet",
        latex="results/{study}/tables/{label}.control.tex",
    log:
        "results/{study}/logs/control.{label}.log",
    benchmark:
        "results/{study}/benchmarks/control.{label}.tsv"
    priority: lambda wc: plan.priority(wc.study, "control", wc.label)
    conda:
        "../envs/infer.yaml"
    resources:
        mem_mb=plan.request("control").mem_mb,
        runtime=plan.request("control").runtime,
        cpus_per_task=plan.request("control").cpus_per_task,
        gpu=plan.request("control").gpu,
    params:
        code=lambda wc: plan.code_of("control", wc.study, "control", wc.label),
    shell:
        "python -m saggiatore control --gpu {resources.gpu} --spec {input.spec:q} --code {params.code} --truth {input.truth:q} "
        "--events {input.events:q} --classifiers {input.classifiers:q} --control {output.control:q} "
        "--marginals {output.marginals:q} --weights {output.weights:q} --reliability {output.reliability:q} --tails {output.tails:q} "
        "--clusters {output.clusters:q} --latex {output.latex:q} > {log:q} 2>&1"


rule generator_comparison:
    input:
        spec="results/{study}/spec/control.{label}.json",
        control="results/{study}/tables/{label}.control.parquet",
        events=lambda wc: plan.generators(wc.study, wc.label, "events"),
        models=lambda wc: plan.generators(wc.study, wc.label, "models"),
        logs=lambda wc: plan.generators(wc.study, wc.label, "logs"),
    output:
        table="results/{study}/tables/{label}.generator_comparison.parquet",
        latex="results/{study}/tables/{label}.generator_comparison.tex",
        pdf="results/{study}/figures/{label}.generator_comparison.pdf",
        png="results/{study}/figures/{label}.generator_comparison.png",
    log:
        "results/{study}/logs/generator_comparison.{label}.log",
    benchmark:
        "results/{study}/benchmarks/generator_comparison.{label}.tsv"
    conda:
        "../envs/infer.yaml"
    resources:
        mem_mb=plan.request("generator_comparison").mem_mb,
        runtime=plan.request("generator_comparison").runtime,
        cpus_per_task=plan.request("generator_comparison").cpus_per_task,
        gpu=plan.request("generator_comparison").gpu,
    params:
        code=lambda wc: plan.code_of(
            "generator_comparison", wc.study, "control", wc.label
        ),
    shell:
        "python -m saggiatore generator-comparison --gpu {resources.gpu} --spec {input.spec:q} --code {params.code} --control {input.control:q} "
        "--events {input.events:q} --models {input.models:q} --logs {input.logs:q} --out {output.table:q} "
        "--latex {output.latex:q} --pdf {output.pdf:q} --png {output.png:q} > {log:q} 2>&1"
