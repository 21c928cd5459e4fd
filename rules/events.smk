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
    params:
        code=lambda wc: plan.code_of("sampler", wc.study, "sampler", wc.label),
    shell:
        "python -m saggiatore sampler --spec {input.spec:q} --code {params.code} "
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
    params:
        code=lambda wc: plan.code_of("integrator_comparison", wc.study, "sampler"),
    shell:
        "python -m saggiatore integrator-comparison --study {wildcards.study} --code {params.code} "
        "--specs {input.specs:q} --out {output.table:q} --latex {output.latex:q} > {log:q} 2>&1"


rule events_shard:
    input:
        spec="results/{study}/spec/events.{label}.json",
        grid=lambda wc: plan.inputs(wc.study, "events", wc.label, "sampler"),
        integral=lambda wc: plan.twin(
            wc.study, "events", wc.label, "sampler", "integral"
        ),
    output:
        temp("results/{study}/events/{label}/shard-{shard}.parquet"),
    log:
        "results/{study}/logs/events.{label}.shard-{shard}.log",
    benchmark:
        "results/{study}/benchmarks/events.{label}.shard-{shard}.tsv"
    priority: lambda wc: plan.priority(wc.study, "events", wc.label)
    conda:
        "../envs/simulate.yaml"
    params:
        code=lambda wc: plan.code_of("events_shard", wc.study, "events", wc.label),
    shell:
        "python -m saggiatore events-shard --spec {input.spec:q} --code {params.code} --grid {input.grid:q} "
        "--integral {input.integral:q} --shard {wildcards.shard} --out {output:q} > {log:q} 2>&1"


rule events_file:
    input:
        spec="results/{study}/spec/events.{label}.json",
        file=lambda wc: plan.event_files(wc.study, wc.label),
    output:
        events=temp("results/{study}/events/{label}/file.parquet"),
        sample="results/{study}/tables/{label}.sample.parquet",
    log:
        "results/{study}/logs/events.{label}.file.log",
    benchmark:
        "results/{study}/benchmarks/events.{label}.file.tsv"
    priority: lambda wc: plan.priority(wc.study, "events", wc.label)
    conda:
        "../envs/simulate.yaml"
    params:
        code=lambda wc: plan.code_of("events_file", wc.study, "events", wc.label),
        content=lambda wc: plan.content_of(wc.study, wc.label),
    shell:
        "python -m saggiatore events-file --spec {input.spec:q} --code {params.code} --file {input.file:q} "
        "--out {output.events:q} --sample {output.sample:q} > {log:q} 2>&1"


rule events:
    input:
        spec="results/{study}/spec/events.{label}.json",
        shards=lambda wc: plan.shards(wc.study, wc.label),
    output:
        "results/{study}/events/{label}.parquet",
    log:
        "results/{study}/logs/events.{label}.log",
    benchmark:
        "results/{study}/benchmarks/events.{label}.tsv"
    priority: lambda wc: plan.priority(wc.study, "events", wc.label)
    conda:
        "../envs/simulate.yaml"
    params:
        code=lambda wc: plan.code_of("events", wc.study, "events", wc.label),
    shell:
        "python -m saggiatore events --spec {input.spec:q} --code {params.code} "
        "--shards {input.shards:q} --out {output:q} > {log:q} 2>&1"
