rule distill_island:
    input:
        spec="results/{study}/spec/distill.{label}.json",
        teacher=lambda wc: plan.inputs(wc.study, "formulas", wc.label, "teacher"),
    output:
        "results/{study}/formulas/{label}/island-{shard}.parquet",
    log:
        "results/{study}/logs/distill.{label}.island-{shard}.log",
    benchmark:
        "results/{study}/benchmarks/distill.{label}.island-{shard}.tsv"
    priority: lambda wc: plan.priority(wc.study, "formulas", wc.label)
    conda:
        "../envs/distill.yaml"
    resources:
        mem_mb=plan.request("distill_island").mem_mb,
        runtime=plan.request("distill_island").runtime,
        cpus_per_task=plan.request("distill_island").cpus_per_task,
        gpu=plan.request("distill_island").gpu,
    params:
        code=lambda wc: plan.code_of("distill_island", wc.study, "formulas", wc.label),
    # PySR takes all cores of a node unless it is told otherwise before it is imported
    shell:
        "PYTHON_JULIACALL_THREADS=${{PYTHON_JULIACALL_THREADS:-{resources.cpus_per_task}}} python -m saggiatore distill-island --gpu {resources.gpu} --spec {input.spec:q} --code {params.code} "
        "--teacher {input.teacher:q} --shard {wildcards.shard} --out {output:q} > {log:q} 2>&1"


rule distill:
    input:
        spec="results/{study}/spec/distill.{label}.json",
        teacher=lambda wc: plan.inputs(wc.study, "formulas", wc.label, "teacher"),
        islands=lambda wc: plan.islands(wc.study, wc.label),
    output:
        "results/{study}/formulas/{label}.hall_of_fame.parquet",
    log:
        "results/{study}/logs/distill.{label}.log",
    benchmark:
        "results/{study}/benchmarks/distill.{label}.tsv"
    priority: lambda wc: plan.priority(wc.study, "formulas", wc.label)
    conda:
        "../envs/distill.yaml"
    resources:
        mem_mb=plan.request("distill").mem_mb,
        runtime=plan.request("distill").runtime,
        cpus_per_task=plan.request("distill").cpus_per_task,
        gpu=plan.request("distill").gpu,
    params:
        code=lambda wc: plan.code_of("distill", wc.study, "formulas", wc.label),
    shell:
        "python -m saggiatore distill --gpu {resources.gpu} --spec {input.spec:q} --code {params.code} --teacher {input.teacher:q} "
        "--islands {input.islands:q} --hall-of-fame {output:q} > {log:q} 2>&1"


rule formulas:
    input:
        spec="results/{study}/spec/formulas.{label}.json",
        hall_of_fame="results/{study}/formulas/{label}.hall_of_fame.parquet",
        teacher=lambda wc: plan.inputs(wc.study, "formulas", wc.label, "teacher"),
        train=lambda wc: plan.inputs(wc.study, "formulas", wc.label, "train"),
        select=lambda wc: plan.inputs(wc.study, "formulas", wc.label, "select"),
        draws=lambda wc: plan.drawn_forms(wc.study, wc.label),
    output:
        refits="results/{study}/formulas/{label}.refits.parquet",
        formula="results/{study}/formulas/{label}.formula.json",
        latex="results/{study}/formulas/{label}.refits.tex",
    log:
        "results/{study}/logs/formulas.{label}.log",
    benchmark:
        "results/{study}/benchmarks/formulas.{label}.tsv"
    priority: lambda wc: plan.priority(wc.study, "formulas", wc.label)
    conda:
        "../envs/infer.yaml"
    resources:
        mem_mb=plan.request("formulas").mem_mb,
        runtime=plan.request("formulas").runtime,
        cpus_per_task=plan.request("formulas").cpus_per_task,
        gpu=plan.request("formulas").gpu,
    params:
        code=lambda wc: plan.code_of("formulas", wc.study, "formulas", wc.label),
    shell:
        "python -m saggiatore formulas --gpu {resources.gpu} --spec {input.spec:q} --code {params.code} "
        "--hall-of-fame {input.hall_of_fame:q} --teacher {input.teacher:q} --train {input.train:q} "
        "--select {input.select:q} --draws {input.draws:q} --refits {output.refits:q} --formula {output.formula:q} "
        "--latex {output.latex:q} > {log:q} 2>&1"
