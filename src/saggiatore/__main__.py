"""``python -m saggiatore STEP --flag ...``: the flags of a step are the parameters of its `run`.

Every step takes ``--gpu N`` besides: how many of the machine's GPUs it may see.
"""

import argparse
import contextlib
import errno
import gc
import importlib
import inspect
import logging
import os
import pkgutil
import re
import sys
import types
import typing
from pathlib import Path

import saggiatore.steps
from saggiatore.errors import MachineError, SaggiatoreError
from saggiatore.gpu import claimed
from saggiatore.programs import keep_programs
from saggiatore.record import VARIABLE, recorded


def main(argv: list[str] | None = None) -> int:
    """Run one step; 0 when it succeeded, 1 when it failed for a reason that the user can act upon."""
    arguments = sys.argv[1:] if argv is None else argv
    names = sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(saggiatore.steps.__path__))
    if not arguments or arguments[0] in ("-h", "--help"):
        print(f"usage: python -m saggiatore STEP [--help] [flags]\n\nsteps: {', '.join(names)}")
        return 0
    step = arguments[0]
    if step not in names:
        print(f"error: no step is called '{step}'; there are {', '.join(names)}.", file=sys.stderr)
        return 1
    logging.basicConfig(format="%(message)s")  # warnings of libraries, and all that our own steps say
    logging.getLogger("saggiatore").setLevel(logging.INFO)
    try:
        arguments, gpus = _without_gpus(arguments)
        with gpus:
            _set_precision(arguments)
            keep_programs()
            run = importlib.import_module(f"saggiatore.steps.{step.replace('-', '_')}").run
            values = _parse(step, run, arguments[1:])
            _look_for_garbage_from_here()
            with _recorded(arguments, values):
                run(**values)
    except SaggiatoreError as error:
        print(f"error: {error}{_moved_away(error.damaged)}", file=sys.stderr)
        return 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS):
            raise
        print(
            f"error: cannot write: {error}. Nothing half-written was left; free space and run again.", file=sys.stderr
        )
        return 1
    return 0


def _look_for_garbage_from_here() -> None:
    """End the pause that a program starts with, and never look among what was made in it.

    Imports make a million objects that all stay; to look for garbage among them takes a fifth of a small step's time.
    """
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def _moved_away(damaged: Path | None) -> str:
    """Move a damaged artefact aside, so that Snakemake finds it missing and makes it again; what is said of it.

    Only a job of the workflow does so, and only with files below results/, where all is made by rules; links lead to
    somebody's own files and are left alone.
    """
    results = Path.cwd() / "results"
    if damaged is None or VARIABLE not in os.environ or damaged.is_symlink():
        return ""
    if not (Path.cwd() / damaged).is_relative_to(results) or ".." in damaged.parts:
        return ""
    aside = damaged.with_name(f"{damaged.name}.damaged")
    damaged.replace(aside)
    return f" It was moved to {aside}: the next run makes it again."


def _without_gpus(arguments: list[str]) -> tuple[list[str], contextlib.AbstractContextManager[None]]:
    """The arguments without ``--gpu N``, and the block in which the step sees no other GPUs.

    A record is without it: where a job ran is no part of what it did.
    """
    if "--gpu" not in arguments[:-1]:
        return arguments, contextlib.nullcontext()
    place = arguments.index("--gpu")
    if not arguments[place + 1].isdigit():
        raise MachineError(f"--gpu: got '{arguments[place + 1]}', expected a number of GPUs such as 1.")
    return arguments[:place] + arguments[place + 2 :], claimed(int(arguments[place + 1]))


def _recorded(arguments: list[str], values: dict) -> contextlib.AbstractContextManager[None]:
    if VARIABLE not in os.environ:
        return contextlib.nullcontext()
    each = [item for value in values.values() for item in (value if isinstance(value, list) else [value])]
    spec = [_spec_path(arguments)] if "--spec" in arguments[:-1] else []
    return recorded(arguments, [*spec, *(item for item in each if isinstance(item, Path))], values.get("code", ""))


def _set_precision(arguments: list[str]) -> None:
    """float64 for physics and posteriors, training as its spec says; before jax is imported."""
    precision = "float64"
    if "--spec" in arguments[:-1]:
        from saggiatore.job import read_spec  # and pydantic: most of the start of a step that has no spec

        precision = read_spec(_spec_path(arguments))["section"].get("precision", precision)
    os.environ["JAX_ENABLE_X64"] = "1" if precision == "float64" else "0"


def _spec_path(arguments: list[str]) -> Path:
    return Path(arguments[arguments.index("--spec") + 1])


def _parse(step: str, run: typing.Callable, arguments: list[str]) -> dict:
    doc = (inspect.getdoc(run) or "").split("\n\n")[0]
    parser = argparse.ArgumentParser(prog=f"python -m saggiatore {step}", description=doc, allow_abbrev=False)
    hints = typing.get_type_hints(run)
    job_class = hints.get("job")
    for name, parameter in inspect.signature(run).parameters.items():
        if name == "job":
            parser.add_argument("--spec", type=Path, required=True, help="JSON of the job")
            continue
        if parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD:
            parser.add_argument(name, type=hints[name], help="path")
            continue
        _add_flag(parser, name, hints[name], parameter.default)
    values = vars(parser.parse_args(_join_negatives(arguments)))
    if job_class is not None:
        from saggiatore.job import read_job

        values["job"] = read_job(job_class, values.pop("spec"))
    return values


def _join_negatives(arguments: list[str]) -> list[str]:
    """Join a flag with a value such as -2,1: argparse would take the value for another flag."""
    joined: list[str] = []
    for argument in arguments:
        if re.match(r"-\d", argument) and joined and joined[-1].startswith("--"):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def _add_flag(parser: argparse.ArgumentParser, name: str, hint: typing.Any, default: object) -> None:
    flag = "--" + name.replace("_", "-")
    required = default is inspect.Parameter.empty
    if isinstance(hint, types.UnionType):  # Path | None: the flag may stand without a value
        (hint,) = (option for option in typing.get_args(hint) if option is not type(None))
        parser.add_argument(flag, type=hint, nargs="?", default=default)
    elif hint is bool:
        parser.add_argument(flag, action="store_true")
    elif typing.get_origin(hint) is list:
        parser.add_argument(flag, nargs="*", type=typing.get_args(hint)[0], default=[], required=required)
    else:
        parser.add_argument(flag, type=hint, required=required, default=None if required else default)


if __name__ == "__main__":
    gc.disable()  # until the step runs
    sys.exit(main())
