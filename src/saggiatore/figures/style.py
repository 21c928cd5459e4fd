"""How figures look: mplhep's style at the size of a journal column, and axes that read their units off the tables."""

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib
import mplhep
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, MultipleLocator, NullFormatter, StrMethodFormatter

from saggiatore.tables import Column

# One meaning, one colour, in every figure (Petroff's sequence, arXiv:2107.02270: readable by the colour-blind)
TRUTH = "#404040"
NETWORK = "#3f90da"
FORMULA = "#e42536"
RATIO = "#b9ac70"
OTHER = ("#832db6", "#ffa90e", "#a96b59", "#717581")
MORE = ("#b9ac70", "#92dadd", "#94a4a2")  # where even these are not enough
DENSITY = "Blues"

Style = dict[str, Any]  # keywords of a matplotlib call

_SIZES: dict[Any, Any] = {
    "font.size": 11,
    "axes.labelsize": 12,
    "axes.linewidth": 0.8,
    "axes.titlesize": 11,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.fontsize": 9.5,
    "xtick.major.size": 5,
    "xtick.minor.size": 2.5,
    "ytick.major.size": 5,
    "ytick.minor.size": 2.5,
    "lines.linewidth": 1.4,
    "mathtext.default": "it",
    "mathtext.fallback": "stixsans",  # the text font ships with mplhep; its missing Greek ships with matplotlib
    "figure.dpi": 100,
    "savefig.dpi": 160,
    "savefig.bbox": None,
    "figure.constrained_layout.h_pad": 0.06,
    "figure.constrained_layout.w_pad": 0.06,
    "pdf.compression": 6,
    "pdf.fonttype": 3,
    "axes.formatter.use_mathtext": True,
    "axes.formatter.limits": (-3, 4),
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """mplhep's CMS style with type for a 7-inch page; nothing of it stays set afterwards."""
    with matplotlib.rc_context({**mplhep.style.CMS, **_SIZES}):
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches, that lays itself out without overlaps."""
    return Figure(figsize=(width, height), layout="constrained")


def axis_label(column: Column) -> str:
    """``label [unit]`` of a column; the unit is left out where there is none."""
    text = column.label or readable(column.name)
    if column.label and "$" not in column.label and ("\\" in column.label or "_" in column.label):
        text = f"${column.label}$"
    return text if column.unit == "1" else f"{text} [{unit_label(column.unit)}]"


def unit_label(unit: str) -> str:
    """A unit as an axis shows it: ``TeV^-2`` with its exponent raised."""
    name, _, power = unit.partition("^")
    return f"{name}$^{{{power}}}$" if power else name


def angular_ticks(axes: Axes, column: Column) -> None:
    """Ticks at multiples of pi/2 where a column is an angle and its axis is a few radians long."""
    low, high = axes.get_xlim()
    if column.unit == "rad" and high - low > math.pi:
        snapped = [round(edge / (math.pi / 2)) * math.pi / 2 for edge in (low, high)]
        if math.dist(snapped, (low, high)) < 0.01 * (high - low):  # events stop just short of the tick
            axes.set_xlim(*snapped)
        axes.xaxis.set_major_locator(MultipleLocator(math.pi / 2))
        axes.xaxis.set_minor_locator(MultipleLocator(math.pi / 8))
        axes.xaxis.set_major_formatter(FuncFormatter(_multiple_of_pi))


def _multiple_of_pi(value: float, position: int) -> str:
    halves = round(2 * value / math.pi)
    names = {0: "0", 1: r"$\pi/2$", 2: r"$\pi$", -1: r"$-\pi/2$", -2: r"$-\pi$"}
    return names.get(halves, rf"${halves / 2:g}\pi$")


def headroom(axes: Axes, fraction: float = 0.25) -> None:
    """Leave the upper `fraction` of a linear axis free for a legend."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, low + (high - low) / (1 - fraction))


def readable(label: str) -> str:
    """A label of a study as running text."""
    return label.replace("_", " ")


def parameter_label(name: str) -> str:
    """A theory parameter on an axis: `f_ww` as f with a subscript, longer names as running text."""
    letter, _, index = name.partition("_")
    return rf"${letter}_{{\mathrm{{{index}}}}}$" if len(letter) == 1 and index.isalnum() else readable(name)


def cost_bars(axes: Axes, values: pd.Series, places: np.ndarray, column: Column) -> None:
    """Bars from the left edge of a logarithmic axis: times, rates or sizes, one row each."""
    low, high = 10 ** np.floor(np.log10(values.min() / 1.5)), 10 ** np.ceil(np.log10(values.max() * 1.5))
    axes.barh(places, values - low, left=low, height=0.5, color=NETWORK)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(LogLocator(numticks=4))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(axis_label(column))


def log_scale(axes: Axes) -> None:
    """A logarithmic horizontal axis, its numbers written out: 2 and 5 of each decade too, where there is room."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 50 * low else (1,)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def fit_text(figure: Figure, text: str) -> None:
    """Write `text` above the axes, in type small enough for the figure's width."""
    title = figure.suptitle(text, fontsize=13)
    width = title.get_window_extent(FigureCanvasAgg(figure).get_renderer()).width
    available = 0.96 * figure.get_figwidth() * figure.dpi
    title.set_fontsize(13 * min(1.0, available / width))


def fit_titles(figure: Figure, panels: Sequence[Axes]) -> None:
    """Make the titles of panels of one width small enough for it, all of one size."""
    figure.draw_without_rendering()
    most = max(axes.title.get_window_extent().width / axes.get_window_extent().width for axes in panels)
    for axes in panels:
        axes.title.set_fontsize(float(axes.title.get_fontsize()) * min(1.0, 0.98 / most))


def shrink(figure: Figure, axes: Axes, texts: Sequence[Text], width: float) -> None:
    """Make each text small enough for the fraction `width` of the axes; call it when all else is in its place."""
    for text in texts:
        text.set_in_layout(False)  # else the layout makes room for it
    figure.draw_without_rendering()
    available = width * axes.get_window_extent().width
    for text in texts:
        length = text.get_window_extent().width
        text.set_fontsize(float(text.get_fontsize()) * min(1.0, available / length))
