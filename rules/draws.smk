rule draws:
    input:
        spec="results/{study}/spec/draws.{label}.json",
        model=lambda wc: plan.inputs(wc.study, "draws", wc.label, "model"),
        train=lambda wc: plan.inputs(wc.study, "draws", wc.label, "train"),
        test=lambda wc: plan.inputs(wc.study, "draws", wc.label, "test"),
    output:
        draws="results/{study}/draws/{label}.parquet",
        diagnostics="results/{study}/draws/{label}.diagnostics.parquet",
        pulls="results/{study}/tables/{label}.pulls.parquet",
        calibration="results/{study}/tables/{label}.calibration.parquet",
    log:
        "results/{study}/logs/draws.{label}.log",
    benchmark:
        "results/{study}/benchmarks/draws.{label}.tsv"
    priority: lambda wc: plan.priority(wc.study, "draws", wc.label)
    conda:
        "../envs/infer.yaml"
    resources:
        mem_mb=plan.request("draws").mem_mb,
        runtime=plan.request("draws").runtime,
        cpus_per_task=plan.request("draws").cpus_per_task,
        gpu=plan.request("draws").gpu,
    params:
        code=lambda wc: plan.code_of("draws", wc.study, "draws", wc.label),
        checkpoint="results/{study}/draws/.{label}.checkpoint",
    shell:
        "python -m saggiatore draws --gpu {resources.gpu} --spec {input.spec:q} --code {params.code} --model {input.model:q} "
        "--train {input.train:q} --test {input.test:q} --checkpoint {params.checkpoint:q} --draws {output.draws:q} "
        "--diagnostics {output.diagnostics:q} --pulls {output.pulls:q} --calibration {output.calibration:q} "
        "> {log:q} 2>&1"


rule teachers:
    input:
        spec="results/{study}/spec/teachers.{label}.json",
        model=lambda wc: plan.inputs(wc.study, "teachers", wc.label, "model"),
        draws=lambda wc: plan.inputs(wc.study, "teachers", wc.label, "draws"),
        events=lambda wc: plan.inputs(wc.study, "teachers", wc.label, "events"),
    output:
        "results/{study}/tables/{label}.teacher.parquet",
    log:
        "results/{study}/logs/teachers.{label}.log",
    benchmark:
        "results/{study}/benchmarks/teachers.{label}.tsv"
    priority: lambda wc: plan.priority(wc.study, "teachers", wc.label)
    conda:
        "../envs/infer.yaml"
    resources:
        mem_mb=plan.request("teachers").mem_mb,
        runtime=plan.request("teachers").runtime,
        cpus_per_task=plan.request("teachers").cpus_per_task,
        gpu=plan.request("teachers").gpu,
    params:
        code=lambda wc: plan.code_of("teachers", wc.study, "teachers", wc.label),
    shell:
        "python -m saggiatore teachers --gpu {resources.gpu} --spec {input.spec:q} --code {params.code} --model {input.model:q} "
        "--draws {input.draws:q} --events {input.events:q} --out {output:q} > {log:q} 2>&1"
