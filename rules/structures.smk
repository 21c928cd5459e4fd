rule structures_targets:
    input:
        spec="results/{study}/spec/structures.{label}.json",
        teacher=lambda wc: plan.along(
            wc.study, "structures", wc.label, "formula", "teacher"
        ),
        model=lambda wc: plan.along(
            wc.study, "structures", wc.label, "formula", "teacher", "model"
        ),
        draws=lambda wc: plan.along(
            wc.study, "structures", wc.label, "formula", "teacher", "draws"
        ),
        train=lambda wc: plan.along(
            wc.study, "structures", wc.label, "formula", "train"
        ),
    output:
        temp("results/{study}/structures/{label}/targets.parquet"),
    log:
        "results/{study}/logs/structures.{label}.targets.log",
    benchmark:
        "results/{study}/benchmarks/structures.{label}.targets.tsv"
    priority: lambda wc: plan.priority(wc.study, "structures", wc.label)
    conda:
        "../envs/infer.yaml"
    resources:
        mem_mb=plan.request("structures_targets").mem_mb,
        runtime=plan.request("structures_targets").runtime,
        cpus_per_task=plan.request("structures_targets").cpus_per_task,
        gpu=plan.request("structures_targets").gpu,
    params:
        code=lambda wc: plan.code_of(
            "structures_targets", wc.study, "structures", wc.label
        ),
    shell:
        "python -m saggiatore structures-targets --gpu {resources.gpu} --spec {input.spec:q} --code {params.code} "
        "--teacher {input.teacher:q} --model {input.model:q} --draws {input.draws:q} --train {input.train:q} "
        "--out {output:q} > {log:q} 2>&1"


rule structures_draw:
    input:
        spec="results/{study}/spec/structures.{label}.json",
        formulas=lambda wc: plan.spec_of(wc.study, "structures", wc.label, "formula"),
        targets="results/{study}/structures/{label}/targets.parquet",
        select=lambda wc: plan.along(
            wc.study, "structures", wc.label, "formula", "select"
        ),
    output:
        temp("results/{study}/structures/{label}/draw-{shard}.parquet"),
    log:
        "results/{study}/logs/structures.{label}.draw-{shard}.log",
    benchmark:
        "results/{study}/benchmarks/structures.{label}.draw-{shard}.tsv"
    priority: lambda wc: plan.priority(wc.study, "structures", wc.label)
    conda:
        "../envs/distill.yaml"
    resources:
        mem_mb=plan.request("structures_draw").mem_mb,
        runtime=plan.request("structures_draw").runtime,
        cpus_per_task=plan.request("structures_draw").cpus_per_task,
        gpu=plan.request("structures_draw").gpu,
    params:
        code=lambda wc: plan.code_of(
            "structures_draw", wc.study, "structures", wc.label
        ),
    # PySR takes all cores of a node unless it is told otherwise before it is imported
    shell:
        "PYTHON_JULIACALL_THREADS=${{PYTHON_JULIACALL_THREADS:-{resources.cpus_per_task}}} python -m saggiatore structures-draw --gpu {resources.gpu} --spec {input.spec:q} --code {params.code} "
        "--formulas {input.formulas:q} --targets {input.targets:q} --select {input.select:q} "
        "--shard {wildcards.shard} --out {output:q} > {log:q} 2>&1"


rule structures:
    input:
        spec="results/{study}/spec/structures.{label}.json",
        formulas=lambda wc: plan.spec_of(wc.study, "structures", wc.label, "formula"),
        formula=lambda wc: plan.along(wc.study, "structures", wc.label, "formula"),
        targets="results/{study}/structures/{label}/targets.parquet",
        teacher=lambda wc: plan.along(
            wc.study, "structures", wc.label, "formula", "teacher"
        ),
        select=lambda wc: plan.along(
            wc.study, "structures", wc.label, "formula", "select"
        ),
        draws=lambda wc: plan.distilled(wc.study, wc.label),
    output:
        structures="results/{study}/tables/{label}.structures.parquet",
        constants="results/{study}/tables/{label}.constants.parquet",
        covariances="results/{study}/tables/{label}.covariances.parquet",
        band="results/{study}/tables/{label}.band.parquet",
        drawn="results/{study}/structures/{label}.drawn.parquet",
        posterior="results/{study}/structures/{label}.formula.json",
        latex="results/{study}/tables/{label}.structures.tex",
    log:
        "results/{study}/logs/structures.{label}.log",
    benchmark:
        "results/{study}/benchmarks/structures.{label}.tsv"
    priority: lambda wc: plan.priority(wc.study, "structures", wc.label)
    conda:
        "../envs/infer.yaml"
    resources:
        mem_mb=plan.request("structures").mem_mb,
        runtime=plan.request("structures").runtime,
        cpus_per_task=plan.request("structures").cpus_per_task,
        gpu=plan.request("structures").gpu,
    params:
        code=lambda wc: plan.code_of("structures", wc.study, "structures", wc.label),
    shell:
        "python -m saggiatore structures --gpu {resources.gpu} --spec {input.spec:q} --code {params.code} --formulas {input.formulas:q} "
        "--formula {input.formula:q} --targets {input.targets:q} --teacher {input.teacher:q} "
        "--select {input.select:q} --draws {input.draws:q} --structures {output.structures:q} "
        "--constants {output.constants:q} --covariances {output.covariances:q} --band {output.band:q} "
        "--drawn {output.drawn:q} --posterior {output.posterior:q} --latex {output.latex:q} > {log:q} 2>&1"
