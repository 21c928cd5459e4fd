"""Laws that every registered process obeys, as the first study that uses it configures it."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml

from saggiatore.physics.colour_flow import line_numbers
from saggiatore.physics.flavours import flavours
from saggiatore.physics.kinematics import rotate_about_z
from saggiatore.physics.process import (
    AbstractProcess,
    image_weights,
    log_rate_gradient,
    measure,
    n_theta,
    weight,
)
from saggiatore.registry import REGISTRY, load
from saggiatore.types import Array

STUDIES = Path(__file__).parents[2] / "config" / "studies"
N_POINTS = 4096


class Compiled(NamedTuple):
    """A process and its functions over `N_POINTS` events, each compiled once."""

    process: AbstractProcess
    to_momenta: Callable  # of u
    momenta: Array
    inside: Array
    rate: Callable  # of momenta, theta
    score: Callable  # of momenta, theta: gradient of the log rate
    weight: Callable  # of u, theta


# where a study further down the alphabet has more to obey: decays, a parameter that moves the rate
STUDY_OF = {"top_pair": "tt_spin", "zjets": "zj_mixing_angle"}


def section(kind):
    """The section `process` of the first study, by name, that uses a kind of process, or of the one named above."""
    if kind in STUDY_OF:
        return yaml.safe_load((STUDIES / f"{STUDY_OF[kind]}.yaml").read_text())["process"]
    for path in sorted(STUDIES.glob("*.yaml")):
        found = yaml.safe_load(path.read_text())["process"]
        if found["kind"] == kind:
            return found
    raise AssertionError(f"no study in {STUDIES} uses the process '{kind}'")


def points(process, number):
    return jax.random.uniform(jax.random.key(number), (N_POINTS, process.dim))


# minutes of compilation, or told apart by one line; what they stand on is tested with `zjets` and `ring`
THOROUGH = ("gaussian", "kicker", "ramp", "top_pair", "wjets")


def processes():
    """Every registered process."""
    for name in sorted(REGISTRY["process"]):
        yield pytest.param(name, marks=[pytest.mark.thorough] if name in THOROUGH else [])


@pytest.fixture(scope="module", params=processes())
def compiled(request):
    process = load("process", request.param).model_validate(section(request.param)).build()
    to_momenta = jax.jit(jax.vmap(process.momenta))
    momenta, log_jacobian = to_momenta(points(process, 1))
    inside = jax.jit(jax.vmap(process.accepts))(momenta) & jnp.isfinite(log_jacobian)
    return Compiled(
        process,
        to_momenta,
        momenta,
        inside,
        jax.jit(jax.vmap(process.rate, (0, None))),
        jax.jit(jax.vmap(lambda p, t: log_rate_gradient(process, p, t), (0, None))),
        jax.jit(jax.vmap(lambda u, t: weight(process, u, t), (0, None))),
    )


@pytest.fixture(scope="module")
def theta(compiled):
    return 0.3 * jnp.arange(1.0, n_theta(compiled.process) + 1) / n_theta(compiled.process)


def test_most_points_are_events(compiled):
    assert compiled.inside.mean() > 0.25


def test_momenta_are_conserved(compiled):
    momenta = compiled.momenta[compiled.inside]
    lost = momenta[:, :2].sum(axis=1) - momenta[:, 2:].sum(axis=1)
    assert jnp.all(jnp.abs(lost) < 1e-12 * momenta[:, :, 0].sum(axis=1)[:, None])


def test_momenta_are_on_shell(compiled):
    """The mass squared of a leg is the same in all events, and not negative, within rounding of E^2."""
    momenta = np.asarray(compiled.momenta[compiled.inside])
    squares = momenta[:, :, 0] ** 2 - (momenta[:, :, 1:] ** 2).sum(axis=2)
    masses = np.median(squares, axis=0)
    assert (momenta[:, :, 0] > 0).all()
    assert (masses > -1e-6).all()
    assert (np.abs(squares - masses) < 1e-13 * momenta[:, :, 0] ** 2 + 1e-9).all()


def test_corners_of_the_hypercube_are_finite(compiled, theta):
    process = compiled.process
    corners = np.array(list(itertools.product((1e-12, 1 - 1e-12), repeat=process.dim)))
    u = jnp.array(np.resize(corners, (N_POINTS, process.dim)))
    momenta, log_jacobian = compiled.to_momenta(u)
    assert jnp.all(jnp.isfinite(momenta))
    assert not jnp.any(jnp.isnan(log_jacobian) | (log_jacobian == jnp.inf))
    weights = compiled.weight(u, theta)
    assert jnp.all(jnp.isfinite(weights) & (weights >= 0))


def test_rate_is_positive_inside_the_cuts(compiled, theta):
    rate = compiled.rate(compiled.momenta, theta)[compiled.inside]
    assert jnp.all(jnp.isfinite(rate) & (rate > 0))


def test_images_are_events_of_the_same_phase_space(compiled):
    """The event comes first; an image's image is the event; beams, cuts and, bit by bit, momentum are as they were."""
    process, momenta = compiled.process, compiled.momenta
    images = jax.jit(jax.vmap(process.images))
    found = images(momenta)
    assert np.array_equal(found[:, 0], momenta)
    for place in range(1, found.shape[1]):
        image = found[:, place]
        assert not np.array_equal(image, momenta)
        assert np.array_equal(images(image)[:, place], momenta)
        assert np.array_equal(image[:, :2], momenta[:, :2])
        assert np.array_equal(jax.jit(jax.vmap(process.accepts))(image), jax.jit(jax.vmap(process.accepts))(momenta))
        lost, kept = (each[:, :2].sum(axis=1) - each[:, 2:].sum(axis=1) for each in (image, momenta))
        assert np.array_equal(np.abs(lost), np.abs(kept))


def test_images_have_one_cross_section(compiled, theta):
    """Means of their weights at `theta` agree within 5 standard errors, and the first is `weight`."""
    u = points(compiled.process, 3)
    found = jax.jit(jax.vmap(lambda point: image_weights(compiled.process, point, theta)))(u)
    np.testing.assert_allclose(found[:, 0], compiled.weight(u, theta), rtol=1e-12)
    for gap in (found[:, 1:] - found[:, :1]).T:
        assert gap.std() > 0  # what changes nothing need not be averaged
        assert abs(gap.mean()) < 5 * gap.std() / N_POINTS**0.5


def test_rate_does_not_depend_on_the_azimuth(compiled, theta):
    rotated = jax.vmap(rotate_about_z)(compiled.momenta, jnp.linspace(0, 6, N_POINTS))
    rates = [np.asarray(compiled.rate(momenta, theta))[compiled.inside] for momenta in (rotated, compiled.momenta)]
    np.testing.assert_allclose(*rates, rtol=1e-9)


def test_rate_is_quadratic_where_the_process_says_so(compiled, theta):
    """Third differences vanish along a direction of the parameters in `quadratic`, wherever the others are."""
    process = compiled.process
    assert set(process.quadratic) <= set(process.parameters)
    is_quadratic = jnp.array([name in process.quadratic for name in process.parameters])
    r = [
        np.asarray(compiled.rate(compiled.momenta, jnp.where(is_quadratic, k * theta, theta)))[compiled.inside]
        for k in range(4)
    ]
    assert (np.abs(r[3] - 3 * r[2] + 3 * r[1] - r[0]) < 1e-11 * (r[0] + r[3])).all()


def test_rate_depends_on_each_parameter(compiled, theta):
    reference = np.asarray(compiled.rate(compiled.momenta, jnp.zeros_like(theta)))[compiled.inside]
    for step in jnp.diag(3 * theta):
        moved = np.asarray(compiled.rate(compiled.momenta, step))[compiled.inside]
        assert (np.abs(moved - reference) > 1e-9 * reference).mean() > 0.9


def test_score_is_the_slope_of_the_log_rate(compiled, theta):
    """Against central differences, whose error is of the order of step^2."""
    step = 1e-4
    score = np.asarray(compiled.score(compiled.momenta, theta))[compiled.inside]
    for i, shift in enumerate(step * jnp.eye(n_theta(compiled.process))):
        up, down = (jnp.log(compiled.rate(compiled.momenta, theta + sign * shift)) for sign in (1, -1))
        slope = np.asarray(up - down)[compiled.inside] / (2 * step)
        np.testing.assert_allclose(score[:, i], slope, rtol=1e-5, atol=1e-6)


def test_channels_sum_to_the_rate(compiled, theta):
    """Rates of the flavour channels, none negative, add up, and the mean of their scores is the slope of the sum."""
    process = compiled.process
    momenta = compiled.momenta[compiled.inside][:64]
    shift = jnp.full(n_theta(process), 0.1)  # stands for the slope of the cross section

    @jax.jit
    def all_channels(p):
        rates = jax.vmap(lambda k: process.channel_rate(p, k, theta))(jnp.arange(len(process.channels)))
        found = flavours(process, p, theta, shift)
        return rates, found, found.mean(), found.variance()

    rates, found, mean, variance = jax.lax.map(all_channels, momenta)
    assert jnp.all(rates >= 0)
    total = compiled.rate(compiled.momenta, theta)[compiled.inside][:64]
    np.testing.assert_allclose(rates.sum(axis=1), total, rtol=1e-10)
    np.testing.assert_allclose(found.share, rates / total[:, None], rtol=1e-9, atol=1e-15)
    slope = compiled.score(compiled.momenta, theta)[compiled.inside][:64]
    np.testing.assert_allclose(mean, slope - shift, rtol=1e-9, atol=1e-12)
    second = (found.share[:, :, None] * found.score**2).sum(axis=1)
    np.testing.assert_allclose(variance, second - mean**2, rtol=1e-7, atol=1e-10)


def test_channel_scores_are_slopes(compiled, theta):
    """Against central differences of each channel's rate, whose error is of the order of step^2."""
    process, step = compiled.process, 1e-4
    momenta = compiled.momenta[compiled.inside][0]
    channels, zero = jnp.arange(len(process.channels)), jnp.zeros(n_theta(process))
    rates = jax.jit(jax.vmap(lambda k, t: process.channel_rate(momenta, k, t), (0, None)))
    found = jax.jit(lambda t: flavours(process, momenta, t, zero).score)(theta)
    has_rate = np.asarray(rates(channels, theta)) > 0
    for i, shift in enumerate(step * jnp.eye(n_theta(process))):
        up, down = (np.log(np.asarray(rates(channels, theta + sign * shift))[has_rate]) for sign in (1, -1))
        np.testing.assert_allclose(found[has_rate, i], (up - down) / (2 * step), rtol=1e-5, atol=1e-6)


def test_channels_are_drawn_by_their_rates(compiled, theta):
    """Equidistant lots draw each channel as often as its share says, to one lot; legs are those of the process."""
    process = compiled.process
    momenta = compiled.momenta[compiled.inside][0]
    lots = (jnp.arange(N_POINTS) + 0.5) / N_POINTS
    found = jax.jit(lambda: flavours(process, momenta, theta, jnp.zeros(n_theta(process))))()
    drawn = jax.jit(jax.vmap(found.draw))(lots)
    counts = np.bincount(drawn, minlength=len(found.share))
    assert (np.abs(counts - N_POINTS * np.asarray(found.share)) <= 1 + 1e-6).all()
    assert {len(legs) for legs in process.channels} == {len(process.legs)}


def test_colour_is_conserved(compiled, theta):
    """In each flow that is possible a quark has one line and a gluon two, and each ends at another leg of the event."""
    process = compiled.process
    if not process.colour_flows:
        return  # the process does not state them; `export` says so
    assert len(set(process.colour_flows)) == len(process.colour_flows)
    momenta = compiled.momenta[compiled.inside][0]
    found = jax.jit(jax.vmap(lambda k: process.colour_rates(momenta, k, theta)))(jnp.arange(len(process.channels)))
    assert (np.asarray(found).max(axis=1) > 0).all()
    for legs, rates in zip(np.array(process.channels), np.asarray(found), strict=True):
        for flow, rate in zip(process.colour_flows, rates, strict=True):
            if rate == 0:
                continue
            numbers = line_numbers(flow, legs)
            assert ((numbers > 0).sum(axis=1) == (np.abs(legs) < 7) + 2 * (legs == 21)).all()
            assert (numbers[numbers[:, 0] > 0, 0] != numbers[numbers[:, 0] > 0, 1]).all()
            flowing = np.where(np.arange(len(legs)) < 2, -1, 1)  # incoming colour ends in the event
            for number in np.unique(numbers[numbers > 0]):
                colour, anticolour = flowing @ (numbers == number)
                assert colour == anticolour, (legs, flow)


def test_information_equality(compiled, theta):
    """E[t t] = -E[d t/d theta] at `theta`, t the score with its normalisation; 16 blocks, 5 standard errors.

    The normalisation of each block, sigma and its derivatives, comes from the points of the next block; derivatives
    with respect to theta are central differences.
    """
    n_blocks, step = 16, 1e-3
    shifts = step * jnp.eye(n_theta(compiled.process))
    blocks = [points(compiled.process, 100 + number) for number in range(n_blocks)]

    def log_sigma(u, at):
        return jnp.log(compiled.weight(u, at).mean())

    def gradient(function, at):
        return jnp.stack([(function(at + shift) - function(at - shift)) / (2 * step) for shift in shifts], axis=-1)

    def both_sides(u, other):
        w = compiled.weight(u, theta)
        momenta, _ = compiled.to_momenta(u)

        def score(at):
            return compiled.score(momenta, at) - gradient(lambda t: log_sigma(other, t), at)

        t = score(theta)
        terms = jnp.stack([t[:, :, None] * t[:, None, :], gradient(score, theta)])
        return jnp.where((w > 0)[:, None, None], terms * (w / w.sum())[:, None, None], 0.0).sum(axis=1)

    sides = jnp.stack([both_sides(u, blocks[(i + 1) % n_blocks]) for i, u in enumerate(blocks)])
    gaps = sides.sum(axis=1)
    error = gaps.std(axis=0, ddof=1) / n_blocks**0.5
    information = jnp.diagonal(sides[:, 0].mean(axis=0))
    assert jnp.all(information > 0)
    assert jnp.all(jnp.diagonal(error) < information / 5)
    assert jnp.all(jnp.abs(gaps.mean(axis=0)) < 5 * error)


def test_observables_are_finite_and_have_a_parity(compiled):
    process = compiled.process
    values = jax.jit(jax.vmap(lambda p: measure(process, p)))(compiled.momenta)
    assert set(values) == set(process.observables)
    for name, value in values.items():
        assert jnp.all(jnp.isfinite(value[compiled.inside])), name
        assert process.observables[name].parity in (-1, 1)
