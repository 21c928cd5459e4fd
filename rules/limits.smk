rule limits:
    input:
        spec="results/{study}/spec/limits.{label}.json",
        events=lambda wc: plan.inputs(wc.study, "limits", wc.label, "events"),
        train=lambda wc: plan.inputs(wc.study, "limits", wc.label, "train"),
        models=lambda wc: plan.inputs(wc.study, "limits", wc.label, "models"),
        draws=lambda wc: plan.inputs(wc.study, "limits", wc.label, "draws"),
        ratios=lambda wc: plan.inputs(wc.study, "limits", wc.label, "ratios"),
        ratio_draws=lambda wc: plan.inputs(
            wc.study, "limits", wc.label, "ratio_posteriors"
        ),
        formulas=lambda wc: plan.inputs(wc.study, "limits", wc.label, "formulas"),
    output:
        limits="results/{study}/tables/{label}.limits.parquet",
        sensitivity="results/{study}/tables/{label}.sensitivity.parquet",
        coverage="results/{study}/tables/{label}.coverage.parquet",
        scan="results/{study}/tables/{label}.scan.parquet",
        bins="results/{study}/tables/{label}.bins.parquet",
        workspace="results/{study}/limits/{label}.workspace.json",
    log:
        "results/{study}/logs/limits.{label}.log",
    benchmark:
        "results/{study}/benchmarks/limits.{label}.tsv"
    priority: lambda wc: plan.priority(wc.study, "limits", wc.label)
    conda:
        "../envs/infer.yaml"
    resources:
        mem_mb=plan.request("limits").mem_mb,
        runtime=plan.request("limits").runtime,
        cpus_per_task=plan.request("limits").cpus_per_task,
        gpu=plan.request("limits").gpu,
    params:
        code=lambda wc: plan.code_of("limits", wc.study, "limits", wc.label),
    shell:
        "python -m saggiatore limits --gpu {resources.gpu} --spec {input.spec:q} --code {params.code} --events {input.events:q} "
        "--train {input.train:q} --models {input.models:q} --draws {input.draws:q} --ratios {input.ratios:q} "
        "--ratio-draws {input.ratio_draws:q} --formulas {input.formulas:q} "
        "--limits {output.limits:q} --sensitivity {output.sensitivity:q} --coverage {output.coverage:q} "
        "--scan {output.scan:q} --bins {output.bins:q} --workspace {output.workspace:q} > {log:q} 2>&1"
