"""Which studies the configuration names, unchecked: a machine is looked at before any study is right."""

from pathlib import Path
from typing import Any

import yaml

from saggiatore.errors import StudyError


def chosen_studies(config: Path) -> list[str]:
    """The names under `studies` in the configuration.

    Raises:
        StudyError: if it is unreadable, or they are no names.
    """
    names = read_mapping(config).get("studies")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise StudyError(f"{config}: studies is {names!r}, expected a list of names. Run from the repository's root.")
    return names


def read_mapping(path: Path) -> dict[str, Any]:
    """The content of a YAML file.

    Raises:
        StudyError: if it is unreadable, or no mapping.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise StudyError(f"{path}: unreadable ({error}). Run from the repository's root.") from None
    if not isinstance(content, dict):
        raise StudyError(f"{path}: holds a {type(content).__name__}, expected a mapping.")
    return content
