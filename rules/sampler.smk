rule sampler:
    input:
        spec="results/{study}/spec/sampler.{label}.json",
    output:
        grid="results/{study}/sampler/{label}.grid.parquet",
        integral="results/{study}/tables/{label}.integral.parquet",
    log:
        "results/{study}/logs/sampler.{label}.log",
    benchmark:
        "results/{study}/benchmarks/sampler.{label}.tsv"
    priority: lambda wc: plan.priority(wc.study, "sampler", wc.label)
    conda:
        "../envs/simulate.yaml"
    resources:
        mem_mb=plan.request("sampler").mem_mb,
        runtime=plan.request("sampler").runtime,
        cpus_per_task=plan.request("sampler").cpus_per_task,
        gpu=plan.request("sampler").gpu,
    params:
        code=lambda wc: plan.code_of("sampler", wc.study, "sampler", wc.label),
    shell:
        "python -m saggiatore sampler --gpu {resources.gpu} --spec {input.spec:q} --code {params.code} "
        "--grid {output.grid:q} --integral {output.integral:q} > {log:q} 2>&1"


rule integrator_comparison:
    input:
        specs=lambda wc: plan.specs(wc.study, "sampler"),
    output:
        table="results/{study}/tables/integrator_comparison.parquet",
        latex="results/{study}/tables/integrator_comparison.tex",
    log:
        "results/{study}/logs/integrator_comparison.log",
    benchmark:
        "results/{study}/benchmarks/integrator_comparison.tsv"
    conda:
        "../envs/simulate.yaml"
    resources:
        mem_mb=plan.request("integrator_comparison").mem_mb,
        runtime=plan.request("integrator_comparison").runtime,
        cpus_per_task=plan.request("integrator_comparison").cpus_per_task,
    params:
        code=lambda wc: plan.code_of("integrator_comparison", wc.study, "sampler"),
    shell:
        "python -m saggiatore integrator-comparison --study {wildcards.study} --code {params.code} "
        "--specs {input.specs:q} --out {output.table:q} --latex {output.latex:q} > {log:q} 2>&1"
