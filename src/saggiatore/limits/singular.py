"""Which formulas are without a value somewhere among a stream of events."""

import logging
from collections.abc import Sequence

import numpy as np

from saggiatore.distill.expression import parse, symbol_names
from saggiatore.distill.parametric import Parametric
from saggiatore.distill.singularity import nearest_events, singular_part, stated
from saggiatore.limits.statistic import Columns, Statistic

log = logging.getLogger(__name__)


class SingularParts:
    """Keeps, for each statistic that is written as a formula, the events that tell."""

    def __init__(self, statistics: Sequence[Statistic]):
        self._names = [statistic.name for statistic in statistics]
        written = {each.name: Parametric(parse(each.expression), {}) for each in statistics if each.expression}
        self._forms = {name: form for name, form in written.items() if symbol_names(form.expression)}
        self._kept: dict[str, list[Columns]] = {name: [] for name in self._forms}

    def add(self, events: Columns) -> None:
        """Look at a batch of events."""
        for name, form in self._forms.items():
            columns = {feature: events[feature] for feature in symbol_names(form.expression)}
            rows = nearest_events(form, columns)
            self._kept[name].append({feature: column[rows] for feature, column in columns.items()})

    def found(self) -> list[str]:
        """For each statistic the part that leaves it without a value, with a warning; empty where there is none."""
        parts = {name: self._part(name) for name in self._forms}
        for name, part in parts.items():
            if part:
                log.warning("'%s' has no value somewhere among the events: see %s, as where it is zero", name, part)
        return [parts.get(name, "") for name in self._names]

    def _part(self, name: str) -> str:
        form, kept = self._forms[name], self._kept[name]
        features = symbol_names(form.expression) if kept else set()
        columns = {feature: np.concatenate([batch[feature] for batch in kept]) for feature in features}
        return stated(singular_part(form, columns)) if any(map(len, columns.values())) else ""
