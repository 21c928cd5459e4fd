"""Specs: frozen configuration, the fields by which a section names another, and what its job asks a scheduler for."""

from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, GetJsonSchemaHandler, model_validator
from pydantic_core import core_schema

from saggiatore.constraint import Constraint
from saggiatore.units import LIMITS, Duration, Memory

LABEL_PATTERN = r"^[a-z][a-z0-9_]{0,99}$"  # a file system takes names of 255 bytes
Label = Annotated[str, Field(pattern=LABEL_PATTERN)]


def _upstream(stage: str, artefact: str) -> Any:
    """A field that names a section of `stage` and thereby needs its `artefact`; the DAG is read off these fields."""
    return Field(pattern=LABEL_PATTERN, json_schema_extra={"x-stage": stage, "x-artefact": artefact})


# A name that the process must know; the workflow checks it before anything runs.
ObservableName = Annotated[str, Field(json_schema_extra={"x-names": "observable"})]
ContextName = Annotated[str, Field(json_schema_extra={"x-names": "context"})]  # a parameter, nuisance or observable
# an observable, or what a table of amplitudes holds besides: a component of a leg's momentum, 2 p_i p_j of two legs
FeatureName = Annotated[str, Field(json_schema_extra={"x-names": "feature"})]
ParameterName = Annotated[str, Field(json_schema_extra={"x-names": "parameter"})]
# An expression of observables and free constants; that it can be read is checked before anything runs, too.
Form = Annotated[str, Field(json_schema_extra={"x-form": True})]

SamplerLabel = Annotated[str, _upstream("sampler", "grid")]
EventsLabel = Annotated[str, _upstream("events", "events")]
ModelLabel = Annotated[str, _upstream("models", "model")]
HistoryLabel = Annotated[str, _upstream("models", "history")]
DrawsLabel = Annotated[str, _upstream("draws", "draws")]
PullsLabel = Annotated[str, _upstream("draws", "pulls")]
CalibrationLabel = Annotated[str, _upstream("draws", "calibration")]
TeacherLabel = Annotated[str, _upstream("teachers", "teacher")]
HallOfFameLabel = Annotated[str, _upstream("formulas", "hall_of_fame")]
FormulaLabel = Annotated[str, _upstream("formulas", "formula")]
RefitsLabel = Annotated[str, _upstream("formulas", "refits")]
StructuresLabel = Annotated[str, _upstream("structures", "structures")]
ConstantsLabel = Annotated[str, _upstream("structures", "constants")]
BandLabel = Annotated[str, _upstream("structures", "band")]
ScoresLabel = Annotated[str, _upstream("information", "scores")]
ControlLabel = Annotated[str, _upstream("control", "control")]
AccuracyLabel = Annotated[str, _upstream("accuracy", "accuracy")]
DeltasLabel = Annotated[str, _upstream("accuracy", "deltas")]
WeightsLabel = Annotated[str, _upstream("control", "weights")]
ReliabilityLabel = Annotated[str, _upstream("control", "reliability")]
ClustersLabel = Annotated[str, _upstream("control", "clusters")]
DensityLabel = Annotated[str, _upstream("densities", "draws")]
PredictiveLabel = Annotated[str, _upstream("predictive", "predictive")]
AmplificationLabel = Annotated[str, _upstream("amplification", "amplification")]
InformationLabel = Annotated[str, _upstream("information", "information")]
LimitsLabel = Annotated[str, _upstream("limits", "limits")]
RatiosLabel = Annotated[str, _upstream("ratios", "ratios")]
LogRatiosLabel = Annotated[str, _upstream("ratios", "log_ratios")]
ScanLabel = Annotated[str, _upstream("limits", "scan")]


class Spec(BaseModel):
    """A frozen piece of configuration; unknown keys are refused; `constraints` are limits between fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    constraints: ClassVar[tuple[Constraint, ...]] = ()

    @model_validator(mode="after")
    def _keeps_constraints(self) -> Self:
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        for constraint in type(self).every_constraint():
            if complaint := constraint.complaint(fields):
                raise ValueError(complaint)
        return self

    @classmethod
    def every_constraint(cls) -> list[Constraint]:
        """Those of the class, behind those that it inherits."""
        return [each for base in reversed(cls.__mro__) for each in vars(base).get("constraints", ())]

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict:
        return cls.described(schema, handler)

    @classmethod
    def described(cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict:
        """JSON Schema with what it has no words for.

        Limits of quantities, which are texts, are `x-limits`, in the field's unit; those that fields set each other are
        `x-constraints`.
        """
        found = handler(schema)
        resolved = handler.resolve_ref_schema(found)
        properties = resolved.get("properties", {})
        if constraints := cls.every_constraint():
            resolved["x-constraints"] = [constraint._asdict() for constraint in constraints]
        for name, field in cls.model_fields.items():
            limits = {key: getattr(each, key) for each in field.metadata for key in LIMITS if hasattr(each, key)}
            node = properties.get(name, {})
            if limits and any("x-unit" in option for option in (node, *node.get("anyOf", ()))):
                node["x-limits"] = limits
        return found


class Resources(Spec):
    """What a job asks a scheduler for; what is not said is the rule's default (`saggiatore.request`)."""

    memory: Memory | None = Field(None, description="of the first attempt; a retry asks for more")
    time: Duration | None = Field(None, description="limit of the first attempt; a retry asks for more")
    cores: int | None = Field(None, ge=1, description="processor cores")
    gpu: int | None = Field(None, ge=0, description="GPUs; 0 sends the job to a partition without")


class Section(Spec):
    """A section of a study: one job, or one for each shard. Its resources are no part of what the job sees."""

    resources: Resources | None = Field(
        None, exclude=True, description="what its jobs ask a scheduler for; a change makes none of them run again"
    )


def chosen_by(key: str, names: tuple[str, ...], default: str) -> tuple[Any, ...]:
    """Metadata of a union of specs, each with a `pydantic.Tag`, whose `key` says which one is meant."""

    def choose(value: Any) -> str:
        return str(value.get(key, default)) if isinstance(value, dict) else str(getattr(value, key, default))

    marks: Any = {"discriminator": {"propertyName": key, "names": list(names), "default": default}}
    return Discriminator(choose), Field(json_schema_extra=marks)
