"""Which studies the configuration names, unchecked: a machine is looked at before any study is right."""

from pathlib import Path
from typing import Any

import yaml

from saggiatore.errors import StudyError


def chosen_studies(config: Path) -> list[str]:
    """The studies that the configuration asks for.

    Raises:
        StudyError: if it is unreadable, or they are no names.
    """
    content = read_mapping(config)
    return expanded(content.get("studies"), content)


def expanded(names: Any, content: dict[str, Any]) -> list[str]:
    """`names` with the members of a group in its place, each study once, in this order.

    Args:
        names: studies and groups.
        content: the configuration; its `groups` are lists of studies by name.

    Raises:
        StudyError: if names or groups are no lists of names.
    """
    groups = content.get("groups", {})
    if not isinstance(groups, dict):
        raise StudyError(f"config: groups is {groups!r}, expected lists of studies by name.")
    for what, each in (("studies", names), *((f"groups.{name}", members) for name, members in groups.items())):
        if not isinstance(each, list) or not all(isinstance(name, str) for name in each):
            raise StudyError(f"config: {what} is {each!r}, expected a list of names, such as [quick].")
    return list(dict.fromkeys(study for name in names for study in groups.get(name, [name])))


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
