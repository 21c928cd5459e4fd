"""Metadata in the form that Zenodo reads, for the deposit of an archive: ``.zenodo.json``."""

import json
from collections.abc import Mapping
from html import escape

from saggiatore.attribution import DOI_PLACEHOLDER, Attribution, Author

METADATA = ".zenodo.json"


def metadata(study: str, attribution: Attribution, version: str, formulas: Mapping[str, str]) -> str:
    """The text of ``.zenodo.json``; `formulas` are those found, by their labels, as plain text."""
    found = "".join(f"<p>Formula <em>{label}</em>: <code>{escape(text)}</code></p>" for label, text in formulas.items())
    content: dict[str, object] = {
        "upload_type": "dataset",
        "title": attribution.title,
        "creators": [_creator(author) for author in attribution.authors],
        "description": (
            f"<p>Archive of the study <em>{study}</em>, made with {attribution.software} {version}: configuration, "
            f"tables, models, formulas, figures, numbers and the source of the workflow.</p>{found}"
        ),
        "license": attribution.licence.lower(),
        "access_right": "open",
        "keywords": ["high energy physics", "symbolic regression", "Fisher information", "RO-Crate"],
        "related_identifiers": [
            {"identifier": each.url, "relation": "cites", "resource_type": "publication-article"}
            for each in attribution.references
        ],
    }
    if attribution.doi != DOI_PLACEHOLDER:
        content["doi"] = attribution.doi
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _creator(author: Author) -> dict[str, str]:
    return {
        key: value
        for key, value in (("name", author.name), ("affiliation", author.affiliation), ("orcid", author.orcid))
        if value
    }
