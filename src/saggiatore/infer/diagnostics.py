"""Did the chains converge? Rank-normalised split R-hat and effective sample size (Vehtari et al., arXiv:1903.08008)."""

import numpy as np
import pandas as pd
from numpyro.diagnostics import effective_sample_size, split_gelman_rubin
from scipy.special import ndtri

from saggiatore.errors import ConvergenceError
from saggiatore.infer.base import Chains
from saggiatore.tables import Column, TableSchema
from saggiatore.types import Float

DIAGNOSTICS = TableSchema(
    "diagnostics",
    1,
    (
        Column(
            "parameter",
            "1",
            "name of a sampled quantity, a column of the draws, or of a score or noise at one event",
            kind="str",
        ),
        Column("mean", "1", "posterior mean"),
        Column("std", "1", "posterior standard deviation"),
        Column("std_robust", "1", "standard deviation if the likelihood is wrong (sandwich); std where it has none"),
        Column("rhat", "1", "rank-normalised split R-hat; 1 for draws that are no Markov chains", r"$\hat R$"),
        Column("ess", "1", "bulk effective sample size of all chains; number of draws that are no chains", "ESS"),
        Column("n_divergent", "1", "divergent transitions of all chains after warm-up", kind="int"),
    ),
)


def rank_normalised(draws: Float[np.ndarray, "chain draw"]) -> Float[np.ndarray, "chain draw"]:
    """Normal scores of the ranks over all chains, arXiv:1903.08008 eq. 14."""
    ranks = pd.Series(draws.reshape(-1)).rank().to_numpy().reshape(draws.shape)  # scipy.stats: a second to import
    return ndtri((ranks - 0.375) / (draws.size + 0.25))


def rhat(draws: Float[np.ndarray, "chain draw"]) -> float:
    """Rank-normalised split R-hat of one quantity, the larger of location and scale; 1 when the chains agree."""
    folded = np.abs(draws - np.median(draws))
    return max(float(split_gelman_rubin(rank_normalised(values))) for values in (draws, folded))


def ess(draws: Float[np.ndarray, "chain draw"]) -> float:
    """Bulk effective sample size: independent draws that would know the centre of the posterior as well."""
    return float(effective_sample_size(rank_normalised(draws)))


def diagnostics_columns(chains: Chains) -> dict[str, list]:
    """Columns of the table [diagnostics], of what is monitored. Draws that are no chain have R-hat 1, and count."""
    parameters = chains.monitored or chains.parameters
    return {
        "parameter": list(parameters),
        "mean": [float(parameter.draws.mean()) for parameter in parameters.values()],
        "std": [float(parameter.draws.std(ddof=1)) for parameter in parameters.values()],
        "std_robust": [parameter.std_robust for parameter in parameters.values()],
        "rhat": [rhat(parameter.draws) if chains.is_markov else 1.0 for parameter in parameters.values()],
        "ess": [
            ess(parameter.draws) if chains.is_markov else float(parameter.draws.size)
            for parameter in parameters.values()
        ],
        "n_divergent": [chains.n_divergent] * len(parameters),
    }


def require_convergence(
    diagnostics: dict[str, list], max_rhat: float, min_ess: float, max_divergent: float = 0
) -> None:
    """Refuse chains that disagree or are too short, or of which more than `max_divergent` transitions diverge.

    Raises:
        ConvergenceError: naming the worst quantity, its number, the limit and what to change.
    """
    names, faults = diagnostics["parameter"], []
    worst, poorest = int(np.argmax(diagnostics["rhat"])), int(np.argmin(diagnostics["ess"]))
    if diagnostics["n_divergent"][0] > max_divergent:
        most = f"at most {max_divergent:g}" if max_divergent else "none"
        faults.append(f"{diagnostics['n_divergent'][0]} divergent transitions, expected {most}: raise target_accept")
    if not diagnostics["rhat"][worst] <= max_rhat:
        value = diagnostics["rhat"][worst]
        faults.append(f"R-hat {value:.3f} of '{names[worst]}', expected at most {max_rhat}: raise n_warmup")
    if not diagnostics["ess"][poorest] >= min_ess:
        value = diagnostics["ess"][poorest]
        faults.append(f"effective sample size {value:.0f} of '{names[poorest]}', expected {min_ess:.0f}: raise n_draws")
    if faults:
        raise ConvergenceError(f"the posterior did not converge: {'; '.join(faults)}. Nothing was written.")
