"""Fingerprints: the syntax tree counts, words about it do not."""

import shutil
from pathlib import Path

import pytest

from saggiatore import fingerprint as subject


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package in the place of ours."""
    root = tmp_path / "saggiatore"
    (root / "inner").mkdir(parents=True)
    files = {
        "__init__.py": '__version__ = "1"\n',
        "inner/__init__.py": "",
        "inner/kernel.py": '"""Doc."""\n\ndef f(x):\n    """Doc."""\n    return x + 1\n',
        "inner/step.py": "from saggiatore.inner import kernel\nfrom .. import errors\n",
        "errors.py": "class E(Exception):\n    pass\n",
        "registry.py": 'REGISTRY: dict = {"a": "b"}\n\ndef load():\n    return REGISTRY\n',
        "other.py": "import saggiatore.registry\n",
    }
    for name, text in files.items():
        (root / name).write_text(text)
    monkeypatch.setattr(subject, "PACKAGE", root)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield root
    shutil.rmtree(root)
    forget()


def forget():
    for cached in vars(subject).values():
        if hasattr(cached, "cache_clear"):
            cached.cache_clear()


def value(module):
    forget()
    return subject.fingerprint([module], {})


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_closure_follows_absolute_and_relative_imports(package):
    forget()
    names = {path.relative_to(package).as_posix() for path in subject.closure("saggiatore.inner.step")}
    assert names == {"__init__.py", "inner/__init__.py", "inner/step.py", "inner/kernel.py", "errors.py"}


def test_comments_docstrings_and_layout_do_not_count(package):
    before = value("saggiatore.inner.step")
    change(package / "inner/kernel.py", '"""Doc."""\n    return x + 1', '"""Other."""\n\n    # why\n    return (x + 1)')
    assert value("saggiatore.inner.step") == before


def test_an_imported_kernel_counts(package):
    before = value("saggiatore.inner.step")
    change(package / "inner/kernel.py", "x + 1", "x + 2")
    assert value("saggiatore.inner.step") != before


def test_what_is_not_imported_does_not_count(package):
    before = value("saggiatore.inner.step")
    change(package / "other.py", "import", "# more\nimport json\nimport")
    assert value("saggiatore.inner.step") == before


def test_a_new_line_in_the_registry_and_a_release_do_not_count(package):
    before = value("saggiatore.other")
    change(package / "registry.py", '"a": "b"', '"a": "b", "c": "d"')
    change(package / "__init__.py", "1", "2")
    assert value("saggiatore.other") == before
    change(package / "registry.py", "return REGISTRY", "return dict(REGISTRY)")
    assert value("saggiatore.other") != before


def test_a_file_is_parsed_once_for_all_starts(package, monkeypatch):
    """The second process, and another clone, parse nothing; after an edit, that file alone."""
    parsed, parse = [], subject.ast.parse

    def counted(text, filename="?"):
        parsed.append(Path(filename).name)
        return parse(text, filename)

    monkeypatch.setattr(subject.ast, "parse", counted)
    before = value("saggiatore.inner.step")
    assert len(parsed) == len(list(package.rglob("*.py")))
    assert value("saggiatore.inner.step") == before
    shutil.copytree(package, package.parent / "clone" / "saggiatore")
    monkeypatch.setattr(subject, "PACKAGE", package.parent / "clone" / "saggiatore")
    assert value("saggiatore.inner.step") == before
    parsed.clear()
    change(subject.PACKAGE / "inner/kernel.py", "x + 1", "x + 2")
    assert value("saggiatore.inner.step") != before
    assert parsed == ["kernel.py"]


@pytest.mark.parametrize("content", ["", "[]", '{"a": 1}', "not JSON"])
def test_a_damaged_store_is_made_anew(package, content):
    before = value("saggiatore.inner.step")
    (store,) = (package.parent / "cache" / "saggiatore").iterdir()
    whole = store.read_bytes()
    store.write_text(content)
    assert value("saggiatore.inner.step") == before
    assert store.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_done_without(package, monkeypatch):
    before = value("saggiatore.inner.step")
    (package.parent / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(package.parent / "file"))
    assert value("saggiatore.inner.step") == before
