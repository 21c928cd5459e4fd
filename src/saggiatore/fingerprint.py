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
from saggiatore.programs import user_cache
from saggiatore.sources import Source, described

PACKAGE = Path(saggiatore.__file__).resolve().parent
# The registry's table names modules without importing them: a new line in it changes no result. Nor does a release.
_NOT_CODE = {"REGISTRY", "__version__"}


def fingerprint(modules: Iterable[str], versions: Mapping[str, str]) -> str:
    """Hash of the import closures of `modules`, e.g. ``saggiatore.steps.events``, and of versions of libraries.

    Returns:
        16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for path in _files_of(frozenset(modules)):
        digest.update(_sources()[path].code.encode())
    for name, version in sorted(versions.items()):
        digest.update(f"{name}=={version}\0".encode())
    return digest.hexdigest()[:16]


def foreign(modules: Iterable[str]) -> set[str]:
    """Top-level names, such as ``jax``, that the import closures of `modules` import from elsewhere."""
    return set().union(*map(_foreign, _files_of(frozenset(modules))))


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


@functools.cache
def _files_of(modules: frozenset[str]) -> tuple[Path, ...]:
    return tuple(sorted(set().union(*map(closure, modules))))


@functools.cache
def _foreign(path: Path) -> frozenset[str]:
    return frozenset(name.split(".")[0] for name in _sources()[path].imports) - sys.stdlib_module_names - {"saggiatore"}


@functools.cache
def _sources() -> dict[Path, Source]:
    """All files of this package, described."""
    with open(__file__, "rb") as file:  # another way to describe files, or another Python, keeps another store
        way = hashlib.sha256(f"{sys.version_info[:2]}\0".encode() + file.read()).hexdigest()[:12]
    return described(_modules().values(), PACKAGE, _describe, user_cache() / "saggiatore" / f"sources-{way}.json")


def _describe(path: Path) -> Source:
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    imports = tuple(sorted(_imported(path, tree)))
    text = f"{path.relative_to(PACKAGE).as_posix()}\0{_normalised(tree)}"
    return Source(imports, hashlib.sha256(text.encode()).hexdigest())


@functools.cache
def _modules() -> dict[str, Path]:
    """The files of this package, by the names under which they are imported."""
    names = {path: path.relative_to(PACKAGE.parent).with_suffix("").parts for path in PACKAGE.rglob("*.py")}
    return {".".join(parts).removesuffix(".__init__"): path for path, parts in names.items()}


def _files(module: str) -> Iterator[Path]:
    """Files that `import module` runs: the packages on the way, and the module; nothing if it is not ours."""
    parts = module.split(".")
    found = (_modules().get(".".join(parts[:depth])) for depth in range(1, len(parts) + 1))
    return (path for path in found if path is not None)


@functools.cache
def _imports(path: Path) -> frozenset[Path]:
    return frozenset(file for name in _sources()[path].imports for file in _files(name))


def _imported(path: Path, tree: ast.Module) -> set[str]:
    """Absolute names of what a file imports."""
    found: set[str] = set()
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(path, node)
            found.update(f"{base}.{alias.name}" for alias in node.names)
    return found


def _absolute(path: Path, node: ast.ImportFrom) -> str:
    if node.level == 0:
        return node.module or ""
    package = ["saggiatore", *path.relative_to(PACKAGE).parts[:-1]]
    base = package[: len(package) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def normalised(text: str) -> str:
    """What counts of a module with this content: its code without docstrings and comments."""
    return _normalised(ast.parse(text))


def _normalised(tree: ast.Module) -> str:
    return ast.unparse(stripped(tree))


def stripped(tree: ast.Module) -> ast.Module:
    """The same tree, without what does not count."""
    for node in [tree, *_statements(tree)]:
        if hasattr(node, "body"):
            node.body = [item for item in node.body if not _is_docstring(item) and not _is_not_code(item)]
    return tree


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
