rule events_ratio:
    input:
        spec="results/{study}/spec/events.{label}.json",
        numerator=lambda wc: plan.inputs(wc.study, "events", wc.label, "numerator"),
        denominator=lambda wc: plan.inputs(wc.study, "events", wc.label, "denominator"),
    output:
        temp("results/{study}/events/{label}/ratio.parquet"),
    log:
        "results/{study}/logs/events.{label}.ratio.log",
    benchmark:
        "results/{study}/benchmarks/events.{label}.ratio.tsv"
    priority: lambda wc: plan.priority(wc.study, "events", wc.label)
    conda:
        "../envs/simulate.yaml"
    resources:
        mem_mb=plan.request("events_ratio").mem_mb,
        runtime=plan.request("events_ratio").runtime,
        cpus_per_task=plan.request("events_ratio").cpus_per_task,
        gpu=plan.request("events_ratio").gpu,
    params:
        code=lambda wc: plan.code_of("events_ratio", wc.study, "events", wc.label),
    shell:
        "python -m saggiatore events-ratio --gpu {resources.gpu} --spec {input.spec:q} --code {params.code} --numerator {input.numerator:q} "
        "--denominator {input.denominator:q} --out {output:q} > {log:q} 2>&1"


rule events_amplitude:
    input:
        spec="results/{study}/spec/events.{label}.json",
        like=lambda wc: plan.inputs(wc.study, "events", wc.label, "like"),
        model=lambda wc: plan.inputs(wc.study, "events", wc.label, "boost.model"),
    output:
        temp("results/{study}/events/{label}/amplitude.parquet"),
    log:
        "results/{study}/logs/events.{label}.amplitude.log",
    benchmark:
        "results/{study}/benchmarks/events.{label}.amplitude.tsv"
    priority: lambda wc: plan.priority(wc.study, "events", wc.label)
    conda:
        "../envs/learn.yaml"
    resources:
        mem_mb=plan.request("events_amplitude").mem_mb,
        runtime=plan.request("events_amplitude").runtime,
        cpus_per_task=plan.request("events_amplitude").cpus_per_task,
        gpu=plan.request("events_amplitude").gpu,
    params:
        code=lambda wc: plan.code_of("events_amplitude", wc.study, "events", wc.label),
    shell:
        "python -m saggiatore events-amplitude --gpu {resources.gpu} --spec {input.spec:q} --code {params.code} --like {input.like:q} "
        "--model {input.model:q} --out {output:q} > {log:q} 2>&1"


rule events_merged:
    input:
        spec="results/{study}/spec/events.{label}.json",
        sources=lambda wc: plan.inputs(wc.study, "events", wc.label, "of"),
    output:
        temp("results/{study}/events/{label}/merged.parquet"),
    log:
        "results/{study}/logs/events.{label}.merged.log",
    benchmark:
        "results/{study}/benchmarks/events.{label}.merged.tsv"
    priority: lambda wc: plan.priority(wc.study, "events", wc.label)
    conda:
        "../envs/simulate.yaml"
    resources:
        mem_mb=plan.request("events_merged").mem_mb,
        runtime=plan.request("events_merged").runtime,
        cpus_per_task=plan.request("events_merged").cpus_per_task,
        gpu=plan.request("events_merged").gpu,
    params:
        code=lambda wc: plan.code_of("events_merged", wc.study, "events", wc.label),
    shell:
        "python -m saggiatore events-merged --gpu {resources.gpu} --spec {input.spec:q} --code {params.code} "
        "--sources {input.sources:q} --out {output:q} > {log:q} 2>&1"


rule events_detector:
    input:
        spec="results/{study}/spec/events.{label}.json",
        like=lambda wc: plan.inputs(wc.study, "events", wc.label, "like"),
    output:
        temp("results/{study}/events/{label}/detector.parquet"),
    log:
        "results/{study}/logs/events.{label}.detector.log",
    benchmark:
        "results/{study}/benchmarks/events.{label}.detector.tsv"
    priority: lambda wc: plan.priority(wc.study, "events", wc.label)
    conda:
        "../envs/simulate.yaml"
    resources:
        mem_mb=plan.request("events_detector").mem_mb,
        runtime=plan.request("events_detector").runtime,
        cpus_per_task=plan.request("events_detector").cpus_per_task,
        gpu=plan.request("events_detector").gpu,
    params:
        code=lambda wc: plan.code_of("events_detector", wc.study, "events", wc.label),
    shell:
        "python -m saggiatore events-detector --gpu {resources.gpu} --spec {input.spec:q} --code {params.code} "
        "--like {input.like:q} --out {output:q} > {log:q} 2>&1"
