rule numbers:
    input:
        tables=lambda wc: plan.told(wc.study),
        formulas=lambda wc: plan.all_of(wc.study, "formulas", "formula"),
        pdfs=lambda wc: plan.all_of(wc.study, "figures", "pdf"),
        pngs=lambda wc: plan.all_of(wc.study, "figures", "png"),
    output:
        "results/{study}/numbers.json",
    log:
        "results/{study}/logs/numbers.log",
    benchmark:
        "results/{study}/benchmarks/numbers.tsv"
    conda:
        "../envs/plot.yaml"
    resources:
        mem_mb=plan.request("numbers").mem_mb,
        runtime=plan.request("numbers").runtime,
        cpus_per_task=plan.request("numbers").cpus_per_task,
    params:
        code=lambda wc: plan.code_of("numbers", wc.study),
    shell:
        "python -m saggiatore numbers --study {wildcards.study} --code {params.code} "
        "--tables {input.tables:q} --formulas {input.formulas:q} "
        "--figures {input.pdfs:q} {input.pngs:q} --out {output:q} > {log:q} 2>&1"


rule report:
    input:
        study="config/studies/{study}.yaml",
        citation="CITATION.cff",
        numbers="results/{study}/numbers.json",
        figures=lambda wc: plan.all_of(wc.study, "figures", "png"),
        told_of=lambda wc: plan.bundled(wc.study),  # the page says when and how these were made
    output:
        "results/{study}/report.html",
    log:
        "results/{study}/logs/report.log",
    benchmark:
        "results/{study}/benchmarks/report.tsv"
    conda:
        "../envs/plot.yaml"
    resources:
        mem_mb=plan.request("report").mem_mb,
        runtime=plan.request("report").runtime,
        cpus_per_task=plan.request("report").cpus_per_task,
    params:
        code=lambda wc: plan.code_of("report", wc.study),
        logs="results/{study}/logs",
    shell:
        "python -m saggiatore report --study {input.study:q} --citation {input.citation:q} --code {params.code} "
        "--numbers {input.numbers:q} --figures {input.figures:q} --logs {params.logs:q} --out {output:q} > {log:q} 2>&1"


rule bundle:
    input:
        specs=lambda wc: plan.specs(wc.study),
        results=lambda wc: plan.bundled(wc.study),
        numbers="results/{study}/numbers.json",
        report="results/{study}/report.html",
        submission=lambda wc: plan.submission(wc.study),
        house=lambda wc: plan.house(wc.study),
        events=lambda wc: plan.all_of(wc.study, "events", "events"),
    output:
        "results/bundles/{study}.zip",
    log:
        "results/{study}/logs/bundle.log",
    conda:
        "../envs/plot.yaml"
    resources:
        mem_mb=plan.request("bundle").mem_mb,
        runtime=plan.request("bundle").runtime,
        cpus_per_task=plan.request("bundle").cpus_per_task,
    params:
        code=lambda wc: plan.code_of("bundle", wc.study),
        logs="results/{study}/logs",
    shell:
        "python -m saggiatore bundle --study {wildcards.study} --code {params.code} --files {input.specs:q} "
        "{input.results:q} {input.numbers:q} {input.report:q} {input.submission:q} {input.house:q} "
        "--not-included {input.events:q} "
        "--logs {params.logs:q} --out {output:q} > {log:q} 2>&1"
