rule hepdata:
    input:
        lambda wc: plan.published(wc.study),
    output:
        "results/{study}/hepdata.zip",
    log:
        "results/{study}/logs/hepdata.log",
    benchmark:
        "results/{study}/benchmarks/hepdata.tsv"
    conda:
        "../envs/plot.yaml"
    resources:
        mem_mb=plan.request("hepdata").mem_mb,
        runtime=plan.request("hepdata").runtime,
        cpus_per_task=plan.request("hepdata").cpus_per_task,
    params:
        code=lambda wc: plan.code_of("hepdata", wc.study),
    shell:
        "python -m saggiatore hepdata --study {wildcards.study} --code {params.code} --tables {input:q} "
        "--out {output:q} > {log:q} 2>&1"
