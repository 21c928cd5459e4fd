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
    resources:
        mem_mb=plan.request("events_shard").mem_mb,
        runtime=plan.request("events_shard").runtime,
        cpus_per_task=plan.request("events_shard").cpus_per_task,
        gpu=plan.request("events_shard").gpu,
    params:
        code=lambda wc: plan.code_of("events_shard", wc.study, "events", wc.label),
    shell:
        "python -m saggiatore events-shard --gpu {resources.gpu} --spec {input.spec:q} --code {params.code} --grid {input.grid:q} "
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
    resources:
        mem_mb=plan.request("events_file").mem_mb,
        runtime=plan.request("events_file").runtime,
        cpus_per_task=plan.request("events_file").cpus_per_task,
        gpu=plan.request("events_file").gpu,
    params:
        code=lambda wc: plan.code_of("events_file", wc.study, "events", wc.label),
        content=lambda wc: plan.content_of(wc.study, wc.label),
    shell:
        "python -m saggiatore events-file --gpu {resources.gpu} --spec {input.spec:q} --code {params.code} --file {input.file:q} "
        "--out {output.events:q} --sample {output.sample:q} > {log:q} 2>&1"


rule events_model:
    input:
        spec="results/{study}/spec/events.{label}.json",
        model=lambda wc: plan.inputs(wc.study, "events", wc.label, "model"),
        like=lambda wc: plan.inputs(wc.study, "events", wc.label, "like"),
    output:
        temp("results/{study}/events/{label}/model.parquet"),
    log:
        "results/{study}/logs/events.{label}.model.log",
    benchmark:
        "results/{study}/benchmarks/events.{label}.model.tsv"
    priority: lambda wc: plan.priority(wc.study, "events", wc.label)
    conda:
        "../envs/learn.yaml"
    resources:
        mem_mb=plan.request("events_model").mem_mb,
        runtime=plan.request("events_model").runtime,
        cpus_per_task=plan.request("events_model").cpus_per_task,
        gpu=plan.request("events_model").gpu,
    params:
        code=lambda wc: plan.code_of("events_model", wc.study, "events", wc.label),
    shell:
        "python -m saggiatore events-model --gpu {resources.gpu} --spec {input.spec:q} --code {params.code} --model {input.model:q} "
        "--like {input.like:q} --out {output:q} > {log:q} 2>&1"


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
    resources:
        mem_mb=plan.request("events").mem_mb,
        runtime=plan.request("events").runtime,
        cpus_per_task=plan.request("events").cpus_per_task,
        gpu=plan.request("events").gpu,
    params:
        code=lambda wc: plan.code_of("events", wc.study, "events", wc.label),
    shell:
        "python -m saggiatore events --gpu {resources.gpu} --spec {input.spec:q} --code {params.code} "
        "--shards {input.shards:q} --out {output:q} > {log:q} 2>&1"
