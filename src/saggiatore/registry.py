"""Every name that a study can use, as a string: naming a thing imports nothing, using it imports that one module."""

import importlib
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic_core import core_schema

from saggiatore.errors import StudyError
from saggiatore.spec import Spec

# slot (the key in a study) -> name (the value of `kind`) -> Spec class that builds it
REGISTRY: dict[str, dict[str, str]] = {
    "process": {
        "asymmetry": "saggiatore.physics.asymmetry:AsymmetrySpec",
        "drell_yan": "saggiatore.physics.drell_yan:DrellYanSpec",
        "gaussian": "saggiatore.physics.gaussian:GaussianSpec",
        "kicker": "saggiatore.physics.kicker:KickerSpec",
        "ramp": "saggiatore.physics.ramp:RampSpec",
        "ring": "saggiatore.physics.ring:RingSpec",
        "top_pair": "saggiatore.physics.top_pair:TopPairSpec",
        "wbf_higgs": "saggiatore.physics.wbf_higgs:WbfHiggsSpec",
        "wjets": "saggiatore.physics.wjets:WJetsSpec",
        "zh": "saggiatore.physics.zh:ZhSpec",
        "zjets": "saggiatore.physics.zjets:ZJetsSpec",
    },
    "sampler": {
        "madnis": "saggiatore.integrate.madnis:MadnisSpec",
        "multichannel": "saggiatore.integrate.multichannel:MultichannelSpec",
        "vegas": "saggiatore.integrate.vegas:VegasSpec",
    },
    "model": {
        "diffusion": "saggiatore.models.diffusion:DiffusionSpec",
        "dsi": "saggiatore.models.dsi:DSISpec",
        "flow_matching": "saggiatore.models.flow_matching:FlowMatchingSpec",
        "mlp": "saggiatore.models.mlp:MLPSpec",
        "multiplicity": "saggiatore.models.multiplicity:MultiplicitySpec",
        "ratio_mlp": "saggiatore.models.ratio_mlp:RatioMLPSpec",
        "spline_flow": "saggiatore.models.spline_flow:SplineFlowSpec",
        "transformer": "saggiatore.models.transformer:TransformerSpec",
    },
    "task": {
        "alice": "saggiatore.tasks.alice:AliceSpec",
        "alices": "saggiatore.tasks.alices:AlicesSpec",
        "amplitude": "saggiatore.tasks.amplitude:AmplitudeSpec",
        "carl": "saggiatore.tasks.carl:CarlSpec",
        "cascal": "saggiatore.tasks.cascal:CascalSpec",
        "classifier": "saggiatore.tasks.classifier:ClassifierSpec",
        "density": "saggiatore.tasks.density:DensitySpec",
        "joint": "saggiatore.tasks.joint:JointSpec",
        "joint_score": "saggiatore.tasks.joint_score:JointScoreSpec",
        "rascal": "saggiatore.tasks.rascal:RascalSpec",
        "rolr": "saggiatore.tasks.rolr:RolrSpec",
        "scandal": "saggiatore.tasks.scandal:ScandalSpec",
    },
    "method": {
        "last_layer": "saggiatore.infer.last_layer:LastLayerSpec",
        "nuts": "saggiatore.infer.nuts:NutsSpec",
        "replicas": "saggiatore.infer.replicas:ReplicasSpec",
        "stein": "saggiatore.infer.stein:SteinSpec",
        "svi": "saggiatore.infer.svi:SviSpec",
    },
    "engine": {
        "operon": "saggiatore.distill.operon_engine:OperonSpec",
        "pysr": "saggiatore.distill.pysr_engine:PySRSpec",
    },
    "figure": {
        "accuracy": "saggiatore.figures.accuracy:AccuracyFigureSpec",
        "amplification": "saggiatore.figures.amplification:AmplificationFigureSpec",
        "clusters": "saggiatore.figures.clusters:ClustersFigureSpec",
        "contours": "saggiatore.figures.contours:ContoursFigureSpec",
        "control": "saggiatore.figures.control:ControlFigureSpec",
        "data_score": "saggiatore.figures.data_score:DataScoreFigureSpec",
        "density_pulls": "saggiatore.figures.density_pulls:DensityPullsFigureSpec",
        "distributions": "saggiatore.figures.distributions:DistributionsFigureSpec",
        "formula": "saggiatore.figures.formula:FormulaFigureSpec",
        "front": "saggiatore.figures.front:FrontFigureSpec",
        "hall_of_fame": "saggiatore.figures.hall_of_fame:HallOfFameFigureSpec",
        "history": "saggiatore.figures.history:HistoryFigureSpec",
        "information": "saggiatore.figures.information:InformationFigureSpec",
        "limits": "saggiatore.figures.limits:LimitsFigureSpec",
        "observables": "saggiatore.figures.observables:ObservablesFigureSpec",
        "posteriors": "saggiatore.figures.posteriors:PosteriorsFigureSpec",
        "predictive": "saggiatore.figures.predictive:PredictiveFigureSpec",
        "pulls": "saggiatore.figures.pulls:PullsFigureSpec",
        "ratio": "saggiatore.figures.ratio:RatioFigureSpec",
        "scaling": "saggiatore.figures.scaling:ScalingFigureSpec",
        "score": "saggiatore.figures.score:ScoreFigureSpec",
        "score_posteriors": "saggiatore.figures.score_posteriors:ScorePosteriorsFigureSpec",
        "structures": "saggiatore.figures.structures:StructuresFigureSpec",
    },
}


def load(slot: str, name: str) -> Any:
    """The Spec class registered as `name` in `slot`.

    Raises:
        StudyError: if nothing has that name, listing what has.
    """
    entries = REGISTRY[slot]
    if name not in entries:
        raise StudyError(f"no {slot} is called '{name}'; there are {', '.join(sorted(entries))}.")
    module, attribute = entries[name].split(":")
    return getattr(importlib.import_module(module), attribute)


class _Registered:
    """Pydantic field of a slot: `kind` chooses the Spec class, and only that class is imported."""

    def __init__(self, slot: str):
        self.slot = slot

    def validate(self, value: object) -> Spec:
        if isinstance(value, Spec):
            return value
        if not isinstance(value, dict) or "kind" not in value:
            raise ValueError(f"got {value!r}, expected a mapping with the key 'kind'.")
        try:
            return load(self.slot, value["kind"]).model_validate(value)
        except StudyError as error:
            raise ValueError(str(error)) from None
        except ValidationError as error:
            raise ValueError(complaints(error)) from None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        serialise = core_schema.plain_serializer_function_ser_schema(lambda spec: spec.model_dump(mode="json"))
        return core_schema.no_info_plain_validator_function(self.validate, serialization=serialise)

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict:
        names = sorted(REGISTRY[self.slot])
        specs = [load(self.slot, name) for name in names]
        options = [spec.described(spec.__pydantic_core_schema__, handler) for spec in specs]
        return {"oneOf": options, "discriminator": {"propertyName": "kind", "names": names}}


def complaints(error: ValidationError) -> str:
    """A pydantic error as one line a fault: where, what came, what was expected."""
    lines = []
    for fault in error.errors():
        place = ".".join(str(part) for part in fault["loc"])
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            message = "unknown key"
        lines.append(f"{place}: {message}" if place else message)
    return "; ".join(lines)


ProcessSpec = Annotated[Any, _Registered("process")]
SamplerSpec = Annotated[Any, _Registered("sampler")]
ModelSpec = Annotated[Any, _Registered("model")]
TaskSpec = Annotated[Any, _Registered("task")]
MethodSpec = Annotated[Any, _Registered("method")]
EngineSpec = Annotated[Any, _Registered("engine")]
FigureSpec = Annotated[Any, _Registered("figure")]


def registered_modules(value: object) -> Iterator[str]:
    """Modules of the registered entries in a section: `kind` under a key that is a slot of the registry."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        if key in REGISTRY and isinstance(item, dict) and item.get("kind") in REGISTRY[key]:
            yield REGISTRY[key][item["kind"]].split(":")[0]
        yield from registered_modules(item)
