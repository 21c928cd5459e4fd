"""The page's skeleton. Its policy forbids any address but data inside of it, and it runs no script."""

from collections.abc import Mapping

import jinja2
from markupsafe import Markup

from saggiatore.report.style import STYLE

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

_PAGE = """\
{% macro paths(names) %}
{% for name in names %}<code>{{ name }}</code>{{ ", " if not loop.last }}{% endfor %}
{%- endmacro %}
{% macro pairs(caption, first, second, rows) %}
{% if rows %}<table class="narrow"><caption>{{ caption }}</caption>
<tr><th scope="col">{{ first }}</th><th scope="col" class="number">{{ second }}</th></tr>
{% for name, value in rows %}<tr><th scope="row">{{ name }}</th><td class="number">{{ value }}</td></tr>
{% endfor %}</table>{% endif %}
{%- endmacro %}
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{{ policy }}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<link rel="icon" href="data:,">
<style>{{ style }}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
<header>
<p class="soft">Saggiatore {{ version }}, study <code>{{ study }}</code></p>
<h1>{{ title }}</h1>
<p>{{ authors }}. Licence {{ licence }}. DOI {{ doi }}.</p>
<nav aria-label="Sections"><ul>
{% for name, heading in sections %}<li><a href="#{{ name }}">{{ heading }}</a></li>
{% endfor %}</ul></nav>
</header>
<main id="content">

<h2 id="studied">What was studied</h2>
<div class="scroll" tabindex="0" role="region" aria-label="What was studied"><table>
<caption>The process and its settings</caption>
{% for key, value in process %}<tr><th scope="row">{{ key }}</th><td>{{ value }}</td></tr>
{% endfor %}</table></div>
<details><summary>What was made of it: every section with its settings</summary>
<div class="scroll" tabindex="0" role="region" aria-label="Sections of the study"><table>
<tr><th scope="col">Stage</th><th scope="col">Section</th><th scope="col">Settings</th></tr>
{% for stage, label, text in stages %}<tr><td>{{ stage }}</td><td>{{ label }}</td><td><code>{{ text }}</code></td></tr>
{% endfor %}</table></div></details>
<details><summary>The study's file, <code>config/studies/{{ study }}.yaml</code></summary>
<pre>{{ source }}</pre></details>
{% if formulas %}
<h2 id="formulas">Formulas</h2>
{% for formula in formulas %}
<h3>Score of {{ formula.parameter }}: <code>{{ formula.label }}</code></h3>
<div class="formula scroll" tabindex="0" role="region" aria-label="Formula {{ formula.label }}">{{ formula.math }}</div>
<p>{{ formula.worth }} Complexity {{ formula.complexity }}, found with {{ formula.engine }}.
Digits in brackets are the standard error of the last digits shown.</p>
<table class="narrow"><caption>As text: <code>{{ formula.text }}</code></caption>
<tr><th scope="col">Constant</th><th scope="col" class="number">Value</th></tr>
{% for name, value in formula.constants %}
<tr><th scope="row"><code>{{ name }}</code></th><td class="number">{{ value }}</td></tr>
{% endfor %}</table>
<details><summary>LaTeX</summary><pre>{{ formula.latex }}</pre></details>
{% endfor %}{% endif %}
{% if structures %}
<h2 id="structures">Posterior over formulas</h2>
{% for posterior in structures %}
<h3>What the draws of the network's posterior distil to: <code>{{ posterior.label }}</code></h3>
<p>Each of {{ posterior.n_draws }} draws was distilled by itself. Own: the fraction of draws whose own search and
selection end in the structure. Pooled: the same, every draw choosing among all structures found, on resampled held-out
events.</p>
<p class="soft">The most probable structures; digits in brackets are the standard error of the last digits shown.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Structures of {{ posterior.label }}">
<table class="structures">
<tr><th scope="col">Pooled, 0 to 1</th><th scope="col" class="number">Pooled</th><th scope="col" class="number">Own</th>
<th scope="col" class="number">Information kept</th><th scope="col" class="number">Complexity</th></tr>
{% for row in posterior.rows %}<tr class="above"><td colspan="5">{{ row.math }}
{% if row.is_formula %}<span class="soft">the structure of the formula above</span>{% endif %}</td></tr>
<tr><td class="bars"><div class="bar" aria-hidden="true">
<span class="value" style="width:{{ row.width }}%"></span></div></td>
<td class="number">{{ row.pooled }}</td><td class="number">{{ row.own }}</td><td class="number">{{ row.kept }}</td>
<td class="number">{{ row.complexity }}</td></tr>
{% endfor %}</table></div>
{% if posterior.n_more %}
<p>{{ posterior.n_more }} more are in <code>tables/{{ posterior.label }}.structures.parquet</code>.</p>
{% endif %}{{ pairs("Constants of the first, over posterior and fit", "Constant", "Value", posterior.constants) }}
{{ pairs("Differences in what is predicted, root mean square over that of the score",
"Difference", "Size", posterior.widths) }}
{% endfor %}{% endif %}
{% if information %}
<h2 id="information">Information</h2>
<table class="stack"><caption>Fraction of the joint Fisher information that each score keeps on test events,
with its standard error</caption>
<tr><th scope="col">Score</th><th scope="col">0 to 1</th><th scope="col" class="number">Kept</th></tr>
{% for row in information %}<tr><th scope="row">{{ row.name }}</th>
<td class="bars"><div class="bar" aria-hidden="true"><span class="value" style="width:{{ row.width }}%"></span>
<span class="error" style="left:{{ row.low }}%;width:{{ row.span }}%"></span></div></td>
<td class="number">{{ row.value }}</td></tr>
{% endfor %}</table>{% endif %}
{% if limits %}
<h2 id="limits">Limits</h2>
{% for section in limits %}
<h3>Expected for {{ section.luminosity }} fb<sup>−1</sup> and an efficiency of {{ section.efficiency }}:
<code>{{ section.label }}</code></h3>
<p>Intervals in which the exact likelihood of the expected data allows the parameter, any other one free.
{% if section.is_open %}† An end is that of the range that was searched. {% endif %}
{% if section.is_nonlinear %}‡ The linear approximation by Fisher information lies further off than the study allows.
{% endif %}</p>
{% for table in section.tables %}
<p class="soft"><code>{{ table.parameter }}</code> from {{ table.data }}; bars are intervals of {{ table.drawn }} around
zero.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Limits on {{ table.parameter }} from {{ table.data }}">
<table class="limits">
<tr><th scope="col">Observable</th><th scope="col">{{ table.drawn }}</th>
{% for level in table.levels %}<th scope="col" class="number">{{ level }}</th>{% endfor %}
{% if table.has_coverage %}<th scope="col" class="number">Coverage at {{ table.drawn }}</th>{% endif %}</tr>
{% for row in table.rows %}<tr><th scope="row">{{ row.name }}
{% if row.kind != row.name %}<span class="soft">({{ row.kind }})</span>{% endif %}</th>
<td class="bars"><div class="bar" aria-hidden="true"><span class="zero"></span>
<span class="value" style="left:{{ row.bar.left }}%;width:{{ row.bar.width }}%"></span></div></td>
{% for text in row.intervals %}<td class="number">{{ text }}</td>{% endfor %}
{% if table.has_coverage %}<td class="number">{{ row.coverage }}</td>{% endif %}</tr>
{% endfor %}</table></div>
{% endfor %}{% endfor %}{% endif %}
{% if figures %}
<h2 id="figures">Figures</h2>
{% for figure in figures %}<figure id="figure-{{ figure.label }}">
<img src="{{ figure.data }}" width="{{ figure.width }}" height="{{ figure.height }}" alt="{{ figure.caption }}">
<figcaption><strong>{{ figure.title }}.</strong> {{ figure.caption }}
{% if figure.inputs %}Drawn from {{ paths(figure.inputs) }}.
{% endif %}Files: {{ paths(figure.files) }}.</figcaption>
</figure>
{% endfor %}{% endif %}

<h2 id="numbers">Numbers</h2>
<div class="scroll" tabindex="0" role="region" aria-label="Numbers"><table class="names stack">
<caption>Every number of <code>numbers.json</code>, with its standard error and the file it was read from</caption>
<tr><th scope="col">Name</th><th scope="col" class="number">Value</th><th scope="col">Unit</th>
<th scope="col">Meaning and origin</th></tr>
{% for row in numbers %}<tr><th scope="row"><code>{{ row.name }}</code></th><td class="number">{{ row.value }}</td>
<td>{{ row.unit }}</td><td>{{ row.meaning }}<br><code class="soft">{{ row.artefact }}</code></td></tr>
{% endfor %}</table></div>
{% if on_request %}<p>Tables and figures with measured times, which differ from run to run, are in no archive:</p>
<ul>{% for each in on_request %}<li>{{ each.what }}: <code>snakemake --cores 2 {{ each.target }}</code></li>
{% endfor %}</ul>{% endif %}

<h2 id="jobs">Jobs</h2>
{% if jobs %}<p>{{ span }}</p>
<div class="scroll graph" tabindex="0" role="region" aria-label="Graph of the jobs">{{ graph }}</div>
<div class="scroll" tabindex="0" role="region" aria-label="Table of the jobs"><table class="names">
<caption>In the order in which they began</caption>
<tr><th scope="col">Jobs</th><th scope="col">Began (UTC)</th><th scope="col" class="number">Time</th>
<th scope="col" class="number">Memory</th><th scope="col">Waited for</th></tr>
{% for job in jobs %}<tr><th scope="row"><code>{{ job.name }}</code></th><td class="when">{{ job.start }}</td>
<td class="number">{{ job.time }}</td><td class="number">{{ job.memory }}</td><td class="long">{{ job.above }}</td></tr>
{% endfor %}</table></div>
{% else %}<p>The logs hold no records of the jobs.</p>{% endif %}

<h2 id="provenance">Provenance</h2>
<table class="narrow"><caption>What this was made with</caption>
{% for key, value in provenance %}<tr><th scope="row">{{ key }}</th><td><code>{{ value }}</code></td></tr>
{% endfor %}</table>
<p>Every table, model, formula and figure carries the job that made it, the fingerprint of the code that ran, the commit
and the versions. The archive <code>results/bundles/{{ study }}.zip</code> adds every command as an RO-Crate.</p>

<h2 id="reproduce">How to reproduce</h2>
<p>From the archive alone, in a clean folder, with every number held against it:</p>
<pre>python -m saggiatore verify {{ study }}.zip
python -m saggiatore reproduce {{ study }}.zip --into FOLDER</pre>
<p>Or from a clone of the repository, at the commit above:</p>
<pre>make STUDY={{ study }}</pre>
{% if references %}<h2 id="references">Please cite</h2>
<ul>{% for reference in references %}<li>{{ reference.authors | join(", ") }}, <cite>{{ reference.title }}</cite>,
<a href="{{ reference.url }}">{{ reference.url }}</a></li>
{% endfor %}</ul>{% endif %}
</main>
</body>
</html>
"""


def render(content: Mapping[str, object]) -> str:
    """The page as HTML; every text is escaped but what is `Markup` already.

    Raises:
        jinja2.UndefinedError: if `content` lacks something that the page shows.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    return environment.from_string(_PAGE).render({**content, "policy": _POLICY, "style": Markup(STYLE)})
