# the shell writes it: a Python process for each of dozens of small files would cost more than what they hold
rule spec:
    output:
        "results/{study}/spec/{stage}.{label}.json",
    log:
        "results/{study}/logs/spec.{stage}.{label}.log",
    conda:
        "../envs/plot.yaml"
    params:
        content=lambda wc: plan.job(wc.study, wc.stage, wc.label),
    shell:
        r"printf '%s\n' {params.content:q} > {output:q} 2> {log:q}"
