rule information:
    input:
        spec="results/{study}/spec/information.{label}.json",
        test=lambda wc: plan.inputs(wc.study, "information", wc.label, "test"),
        train=lambda wc: plan.inputs(wc.study, "information", wc.label, "train"),
        models=lambda wc: plan.inputs(wc.study, "information", wc.label, "models"),
        draws=lambda wc: plan.inputs(wc.study, "information", wc.label, "posteriors"),
        densities=lambda wc: plan.behind(
            wc.study, "information", wc.label, "posteriors", "model"
        ),
        formulas=lambda wc: plan.inputs(wc.study, "information", wc.label, "formulas"),
    output:
        scores="results/{study}/tables/{label}.scores.parquet",
        information="results/{study}/tables/{label}.information.parquet",
        agreement="results/{study}/tables/{label}.agreement.parquet",
        posteriors="results/{study}/tables/{label}.score_posteriors.parquet",
    log:
        "results/{study}/logs/information.{label}.log",
    benchmark:
        "results/{study}/benchmarks/information.{label}.tsv"
    priority: lambda wc: plan.priority(wc.study, "information", wc.label)
    conda:
        "../envs/infer.yaml"
    resources:
        mem_mb=plan.request("information").mem_mb,
        runtime=plan.request("information").runtime,
        cpus_per_task=plan.request("information").cpus_per_task,
        gpu=plan.request("information").gpu,
    params:
        code=lambda wc: plan.code_of("information", wc.study, "information", wc.label),
    shell:
        "python -m saggiatore information --gpu {resources.gpu} --spec {input.spec:q} --code {params.code} --test {input.test:q} "
        "--train {input.train:q} --models {input.models:q} --densities {input.densities:q} --draws {input.draws:q} --formulas {input.formulas:q} "
        "--scores {output.scores:q} --information {output.information:q} "
        "--agreement {output.agreement:q} --posteriors {output.posteriors:q} > {log:q} 2>&1"


rule score_comparison:
    input:
        spec="results/{study}/spec/information.{label}.json",
        scores="results/{study}/tables/{label}.scores.parquet",
        information="results/{study}/tables/{label}.information.parquet",
        agreement="results/{study}/tables/{label}.agreement.parquet",
        posteriors="results/{study}/tables/{label}.score_posteriors.parquet",
        models=lambda wc: plan.inputs(wc.study, "information", wc.label, "models"),
        logs=lambda wc: plan.trainings(wc.study, "information", wc.label, "models"),
        draws=lambda wc: plan.inputs(wc.study, "information", wc.label, "posteriors"),
    output:
        table="results/{study}/tables/{label}.score_comparison.parquet",
        latex="results/{study}/tables/{label}.score_comparison.tex",
        pdf="results/{study}/figures/{label}.score_comparison.pdf",
        png="results/{study}/figures/{label}.score_comparison.png",
    log:
        "results/{study}/logs/score_comparison.{label}.log",
    benchmark:
        "results/{study}/benchmarks/score_comparison.{label}.tsv"
    conda:
        "../envs/infer.yaml"
    resources:
        mem_mb=plan.request("score_comparison").mem_mb,
        runtime=plan.request("score_comparison").runtime,
        cpus_per_task=plan.request("score_comparison").cpus_per_task,
        gpu=plan.request("score_comparison").gpu,
    params:
        code=lambda wc: plan.code_of(
            "score_comparison", wc.study, "information", wc.label
        ),
    shell:
        "python -m saggiatore score-comparison --gpu {resources.gpu} --spec {input.spec:q} --code {params.code} --scores {input.scores:q} "
        "--information {input.information:q} --agreement {input.agreement:q} --posteriors {input.posteriors:q} --models {input.models:q} "
        "--logs {input.logs:q} --draws {input.draws:q} --out {output.table:q} --latex {output.latex:q} --pdf {output.pdf:q} --png {output.png:q} "
        "> {log:q} 2>&1"
