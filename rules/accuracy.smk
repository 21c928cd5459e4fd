rule accuracy:
    input:
        spec="results/{study}/spec/accuracy.{label}.json",
        test=lambda wc: plan.inputs(wc.study, "accuracy", wc.label, "test"),
        models=lambda wc: plan.inputs(wc.study, "accuracy", wc.label, "entries.model"),
        draws=lambda wc: plan.inputs(wc.study, "accuracy", wc.label, "entries.draws"),
    output:
        accuracy="results/{study}/tables/{label}.accuracy.parquet",
        deltas="results/{study}/tables/{label}.deltas.parquet",
    log:
        "results/{study}/logs/accuracy.{label}.log",
    benchmark:
        "results/{study}/benchmarks/accuracy.{label}.tsv"
    priority: lambda wc: plan.priority(wc.study, "accuracy", wc.label)
    conda:
        "../envs/infer.yaml"
    resources:
        mem_mb=plan.request("accuracy").mem_mb,
        runtime=plan.request("accuracy").runtime,
        cpus_per_task=plan.request("accuracy").cpus_per_task,
        gpu=plan.request("accuracy").gpu,
    params:
        code=lambda wc: plan.code_of("accuracy", wc.study, "accuracy", wc.label),
    shell:
        "python -m saggiatore accuracy --gpu {resources.gpu} --spec {input.spec:q} --code {params.code} --test {input.test:q} "
        "--models {input.models:q} --draws {input.draws:q} --accuracy {output.accuracy:q} --deltas {output.deltas:q} "
        "> {log:q} 2>&1"
