"""Quantities: converted once, refused when they do not fit."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saggiatore.units import parse_quantity, quantity_pattern

VALUES = st.floats(min_value=1e-6, max_value=1e6).map(lambda value: float(f"{value:.6g}"))


@given(value=VALUES)
def test_prefixes_agree(value):
    assert parse_quantity("GeV", f"{value!r} TeV") == pytest.approx(1000 * value)
    assert parse_quantity("GeV", f"{value!r} MeV") == pytest.approx(value / 1000)
    assert parse_quantity("TeV^-2", f"{value!r} GeV^-2") == pytest.approx(1e6 * value)


@given(value=VALUES, unit=st.sampled_from(["GeV", "TeV", "pb", "", "gev"]))
def test_pattern_and_parser_accept_the_same(value, unit):
    """The JSON Schema checks with the pattern what the spec later parses."""
    text = f"{value!r} {unit}"
    try:
        parse_quantity("GeV", text)
        parsed = True
    except ValueError:
        parsed = False
    assert parsed == bool(re.match(quantity_pattern("GeV"), text))


def test_the_message_names_the_units_that_fit():
    with pytest.raises(ValueError, match="the unit 'pb' does not convert to GeV; use one of eV, keV, MeV, GeV, TeV"):
        parse_quantity("GeV", "3 pb")


def test_a_number_alone_is_the_converted_value_and_a_word_is_refused():
    assert parse_quantity("GeV", 3) == 3.0
    with pytest.raises(ValueError, match="expected a number with a unit"):
        parse_quantity("GeV", "heavy")
