"""Fingerprints of code, so that Snakemake reruns what an edit touches and nothing else.

Snakemake does not look through an import. A fingerprint is a hash of the syntax trees, without docstrings and comments,
of a module and of everything in this package that it imports, statically and transitively. The versions of the
libraries that these files import go in as well, as far as the caller tells them.
"""

import ast
import functools
import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import saggiatore

PACKAGE = Path(saggiatore.__file__).resolve().parent
# The registry's table names modules without importing them: a new line in it changes no result. Nor does a release.
_NOT_CODE = {"REGISTRY", "__version__"}


def fingerprint(modules: Iterable[str], versions: Mapping[str, str]) -> str:
    """Hash of the import closures of `modules`, e.g. ``saggiatore.steps.events``, and of versions of libraries.

    Returns:
        16 hexadecimal digits.
    """
    files = sorted(set().union(*(closure(module) for module in modules)))
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + normalised(path).encode() + b"\0")
    for name, version in sorted(versions.items()):
        digest.update(f"{name}=={version}\0".encode())
    return digest.hexdigest()[:16]


def foreign(modules: Iterable[str]) -> set[str]:
    """Top-level names, such as ``jax``, that the import closures of `modules` import from elsewhere."""
    files: set[Path] = set().union(*(closure(module) for module in modules))
    found = {name.split(".")[0] for path in files for name in _imported(path)}
    return found - sys.stdlib_module_names - {"saggiatore"}


@functools.cache
def closure(module: str) -> frozenset[Path]:
    """Files of this package that importing `module` runs, found without importing it."""
    seen: set[Path] = set()
    todo = list(_files(module))
    while todo:
        path = todo.pop()
        if path not in seen:
            seen.add(path)
            todo.extend(_imports(path))
    return frozenset(seen)


def _files(module: str) -> Iterator[Path]:
    """Files that `import module` runs: the packages on the way, and the module; nothing if it is not ours."""
    parts = module.split(".")
    if parts[0] != "saggiatore":
        return
    for depth in range(1, len(parts) + 1):
        base = PACKAGE.joinpath(*parts[1:depth])
        for path in (base / "__init__.py", base.with_suffix(".py")):
            if path.is_file():
                yield path


@functools.cache
def _imports(path: Path) -> frozenset[Path]:
    return frozenset(file for name in _imported(path) for file in _files(name))


@functools.cache
def _imported(path: Path) -> frozenset[str]:
    """Absolute names of what a file imports."""
    found: set[str] = set()
    for node in _statements(_tree(path)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(path, node)
            found.update(f"{base}.{alias.name}" for alias in node.names)
    return frozenset(found)


def _absolute(path: Path, node: ast.ImportFrom) -> str:
    if node.level == 0:
        return node.module or ""
    package = ["saggiatore", *path.relative_to(PACKAGE).parts[:-1]]
    base = package[: len(package) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


@functools.cache
def _tree(path: Path) -> ast.Module:
    """The syntax tree of a file, parsed once; `normalised` takes docstrings out of it, which import nothing."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@functools.cache
def normalised(path: Path, text: str | None = None) -> str:
    """What counts of a module: its code without docstrings and comments; `text` stands in for the file's content."""
    tree = _tree(path) if text is None else ast.parse(text, filename=str(path))
    for node in [tree, *_statements(tree)]:
        if hasattr(node, "body"):
            node.body = [item for item in node.body if not _is_docstring(item) and not _is_not_code(item)]
    return ast.unparse(tree)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """All statements below `node`; expressions, most of a tree, hold neither imports nor docstrings."""
    for field in ("body", "orelse", "finalbody", "handlers", "cases"):
        for item in getattr(node, field, ()):
            yield item
            yield from _statements(item)


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_not_code(node: ast.stmt) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return any(isinstance(target, ast.Name) and target.id in _NOT_CODE for target in targets)
