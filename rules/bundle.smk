rule numbers:
    input:
        integrals=lambda wc: plan.all_of(wc.study, "sampler", "integral"),
        samples=lambda wc: plan.all_of(wc.study, "events", "sample"),
        informations=lambda wc: plan.all_of(wc.study, "information", "information"),
        formulas=lambda wc: plan.all_of(wc.study, "formulas", "formula"),
        calibrations=lambda wc: plan.all_of(wc.study, "draws", "calibration"),
        diagnostics=lambda wc: plan.all_of(wc.study, "draws", "diagnostics"),
        histories=lambda wc: plan.all_of(wc.study, "models", "history"),
        limits=lambda wc: plan.all_of(wc.study, "limits", "limits"),
        coverages=lambda wc: plan.all_of(wc.study, "limits", "coverage"),
        sensitivities=lambda wc: plan.all_of(wc.study, "limits", "sensitivity"),
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
        "--integrals {input.integrals:q} --samples {input.samples:q} --informations {input.informations:q} --formulas {input.formulas:q} "
        "--calibrations {input.calibrations:q} --diagnostics {input.diagnostics:q} "
        "--histories {input.histories:q} --limits {input.limits:q} --coverages {input.coverages:q} "
        "--sensitivities {input.sensitivities:q} "
        "--figures {input.pdfs:q} {input.pngs:q} --out {output:q} > {log:q} 2>&1"


rule bundle:
    input:
        specs=lambda wc: plan.specs(wc.study),
        results=lambda wc: plan.bundled(wc.study),
        numbers="results/{study}/numbers.json",
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
    shell:
        "python -m saggiatore bundle --study {wildcards.study} --code {params.code} --files {input.specs:q} "
        "{input.results:q} {input.numbers:q} {input.house:q} --not-included {input.events:q} --out {output:q} "
        "> {log:q} 2>&1"
