"""Whom a study is by, under which licence, and what to cite: from CITATION.cff and from the study's own keys."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from saggiatore.errors import StudyError

DOI_PLACEHOLDER = "10.5281/zenodo.TO-BE-ASSIGNED"


@dataclass(frozen=True)
class Author:
    """A person, or a collaboration; `orcid` is a bare identifier, such as 0000-0002-1825-0097."""

    name: str
    affiliation: str = ""
    orcid: str = ""
    is_person: bool = True


@dataclass(frozen=True)
class Reference:
    """A publication that the workflow builds on."""

    title: str
    authors: tuple[str, ...]
    url: str


@dataclass(frozen=True)
class Attribution:
    """What a deposit says of itself. `authors` and `licence` (SPDX) are the study's, else those of CITATION.cff."""

    title: str
    authors: tuple[Author, ...]
    licence: str
    doi: str
    software: str
    references: tuple[Reference, ...]


def read_attribution(study: Path, citation: Path) -> Attribution:
    """Read both files.

    Raises:
        StudyError: if one of them cannot be read or lacks a title or a licence.
    """
    said, cited = _read(study), _read(citation)
    try:
        own = tuple(Author(**author) for author in said.get("authors", ()))
        return Attribution(
            title=said["title"],
            authors=own or tuple(map(_author, cited["authors"])),
            licence=said.get("licence") or cited["license"],
            doi=said.get("doi") or DOI_PLACEHOLDER,
            software=cited["title"],
            references=tuple(_references(cited)),
        )
    except (KeyError, TypeError) as error:
        raise StudyError(f"{study}, {citation}: no title, authors or licence to archive ({error!r}).") from None


def _read(path: Path) -> dict:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise StudyError(f"{path}: cannot be read ({error}); the archive takes authors and licence from it.") from None


def _author(entry: dict) -> Author:
    """A person or an entity of the Citation File Format 1.2."""
    name = entry.get("name") or f"{entry.get('given-names', '')} {entry['family-names']}".strip()
    orcid = re.sub(r"^https?://orcid\.org/", "", entry.get("orcid", ""))
    return Author(name, entry.get("affiliation", ""), orcid, is_person="name" not in entry)


def _references(cited: dict) -> Iterator[Reference]:
    for entry in cited.get("references", ()):
        identifiers = [item["value"] for item in entry.get("identifiers", ())]
        arxiv = next((value.removeprefix("arXiv:") for value in identifiers if value.startswith("arXiv:")), "")
        url = f"https://arxiv.org/abs/{arxiv}" if arxiv else f"https://doi.org/{entry['doi']}"
        yield Reference(entry["title"], tuple(_author(author).name for author in entry["authors"]), url)
