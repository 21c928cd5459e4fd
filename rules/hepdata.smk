rule hepdata:
    input:
        tables=lambda wc: plan.published(wc.study),
        formulas=lambda wc: plan.all_of(wc.study, "formulas", "formula"),
        figures=lambda wc: plan.all_of(wc.study, "figures", "png"),
        numbers="results/{study}/numbers.json",
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
        drawn=lambda wc: plan.study(wc.study).drawn,
    shell:
        "python -m saggiatore hepdata --study {wildcards.study} --code {params.code} --tables {input.tables:q} --formulas {input.formulas:q} "
        "--figures {input.figures:q} --drawn {params.drawn:q} --numbers {input.numbers:q} --out {output:q} > {log:q} 2>&1"
