rule figures:
    input:
        spec="results/{study}/spec/figures.{label}.json",
        tables=lambda wc: plan.inputs(wc.study, "figures", wc.label),
    output:
        pdf="results/{study}/figures/{label}.pdf",
        png="results/{study}/figures/{label}.png",
    log:
        "results/{study}/logs/figures.{label}.log",
    benchmark:
        "results/{study}/benchmarks/figures.{label}.tsv"
    conda:
        "../envs/plot.yaml"
    resources:
        mem_mb=plan.request("figures").mem_mb,
        runtime=plan.request("figures").runtime,
        cpus_per_task=plan.request("figures").cpus_per_task,
        gpu=plan.request("figures").gpu,
    params:
        code=lambda wc: plan.code_of("figures", wc.study, "figures", wc.label),
    shell:
        "python -m saggiatore figures --gpu {resources.gpu} --spec {input.spec:q} --code {params.code} --tables {input.tables:q} "
        "--pdf {output.pdf:q} --png {output.png:q} > {log:q} 2>&1"
