"""Lines at which two versions of a study or of a module differ."""

import pytest

from saggiatore.places import changed_places, line_of_key

MODULE = """\
import a
ONE = 1


class Network(Base):
    width: int = 3

    def build(self):
        x = 1
        if self.width:
            return x
        return None


def last():
    return 2
"""


@pytest.mark.parametrize(
    ("old", "new", "places"),
    [
        ("ONE = 1", "ONE = 2", [(2, "")]),
        ("width: int = 3", "width: int = 4", [(6, "Network")]),
        ("return x", "return 2 * x", [(11, "Network.build")]),
        ("self.width:", "not self.width:", [(10, "Network.build")]),
        ("Network(Base)", "Network(Other)", [(5, "Network")]),
        ("        x = 1\n", "", [(9, "Network.build")]),
        ("ONE = 1", "ONE = 1\nTWO = 2", [(3, "")]),
        ("def last():\n    return 2\n", "", [(5, "")]),
        ("return 2", "# why\n    return 2", []),
        ("ONE = 1", "ONE = 2\nTHREE = 3", [(2, ""), (3, "")]),
    ],
)
def test_the_innermost_statement_that_changed_is_named(old, new, places):
    assert changed_places(MODULE, MODULE.replace(old, new)) == places


def test_a_change_in_two_places_is_told_in_both():
    assert changed_places(MODULE, MODULE.replace("1", "2")) == [(2, ""), (9, "Network.build")]


def test_the_line_of_a_key(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(
        "title: x\nevents:\n  train: &t {n_events: 1}\n  test: {<<: *t}\nmodels:\n  network:\n    depth: 3\n"
    )
    assert line_of_key(path, ["models", "network", "depth"]) == 7
    assert line_of_key(path, ["events", "train", "n_events"]) == 3
    assert line_of_key(path, ["events", "test", "n_events"]) is None
    assert line_of_key(path, ["models", "network", "width"]) is None
