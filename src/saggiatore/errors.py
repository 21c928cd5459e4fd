"""One exception class for each kind of failure.

Every message says what came, what was expected and what to do. The command line prints the message alone and
exits with status 1; anything that is not a `SaggiatoreError` is a bug and keeps its traceback.
"""

from pathlib import Path


class SaggiatoreError(Exception):
    """A failure that the user can act upon.

    `damaged` is a file whose content is not what was once written: a workflow can make it again.
    """

    def __init__(self, message: str, *, damaged: Path | None = None):
        super().__init__(message)
        self.damaged = damaged


class StudyError(SaggiatoreError):
    """A study (or a job's spec) that does not say what can be built: unknown key, label, unit or observable."""


class SchemaError(SaggiatoreError):
    """A table that is not what its reader expects: column, unit, version, NaN."""


class PartonDensityError(SaggiatoreError):
    """A parton-density grid that is missing or damaged."""


class EventError(SaggiatoreError):
    """Events that physics forbids: off-shell or non-conserved momenta, wrong legs."""


class EmptyRegionError(SaggiatoreError):
    """A fiducial region into which no event falls."""


class TrainingError(SaggiatoreError):
    """A training that diverged or cannot start."""


class InterruptionError(SaggiatoreError):
    """A job that was told to end, saved what it had, and goes on from there when it is run again."""


class ConvergenceError(SaggiatoreError):
    """A posterior or a fit that did not converge: its numbers must not be used."""


class EngineError(SaggiatoreError):
    """A symbolic-regression engine that cannot start or found nothing."""


class FormulaError(SaggiatoreError):
    """An expression outside the language of formulas, or a formula applied to the wrong columns."""


class ModelError(SaggiatoreError):
    """A model file that is damaged or of another kind."""


class LikelihoodError(SaggiatoreError):
    """A likelihood that its expectation leaves undefined: an empty bin, a rate that is not positive."""


class BundleError(SaggiatoreError):
    """An archive that is not whole."""


class MachineError(SaggiatoreError):
    """A machine that lacks what a study needs."""


class ReproductionError(SaggiatoreError):
    """A study that could not be made again, or whose results are other ones."""
