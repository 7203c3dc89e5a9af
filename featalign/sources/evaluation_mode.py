"""How Flax modules are told that they are not training, and what is said where they train still."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from featalign.errors import FeatalignError, first_line

# what arguments and fields are called that say whether a module trains, with what says no
EVALUATION: Mapping[str, bool] = {
    "train": False,
    "training": False,
    "is_training": False,
    "deterministic": True,
    "inference": True,
    "use_running_average": True,
}


def evaluation_arguments(module: Any) -> dict[str, bool]:
    """The arguments with which a module is called so that it does not train.

    One that has the right default is left alone, and so is one that stands on the module as a
    field of the same name.
    """
    parameters = inspect.signature(type(module).__call__).parameters
    return {
        name: value
        for name, value in EVALUATION.items()
        if name in parameters
        and parameters[name].default is not value
        and not (parameters[name].default is None and getattr(module, name, None) is not None)
    }


def not_training(module: Any) -> Any:
    """A Linen module whose own fields say that it does not train."""
    if not is_dataclass(module):
        return module
    names = {field.name for field in fields(module)}
    changed = {
        name: value
        for name, value in EVALUATION.items()
        if name in names and getattr(module, name) is (not value)
    }
    return module.clone(**changed) if changed else module  # type: ignore[attr-defined]


def calling(name: str, call: Callable[[], Any]) -> Any:
    """What a call of a Linen module gives. Raises FeatalignError where it trains still."""
    from flax import errors

    told = "bind what says so, such as train=False or deterministic=True, in a module around it"
    try:
        return call()
    except errors.InvalidRngError as error:
        raise FeatalignError(
            f"{name}: expected a module that draws no random numbers, this one does: dropout or "
            f"another noise is on ({first_line(error)}); {told}"
        ) from error
    except errors.ModifyScopeVariableError as error:
        raise FeatalignError(
            f"{name}: expected a module that keeps its state, this one writes it, as in training "
            f"({first_line(error)}); {told}"
        ) from error
    except errors.FlaxError as error:
        raise FeatalignError(
            f"{name}: its module cannot be called ({first_line(error)}); pass the variables that "
            "its init gives, and inputs of the shape that it takes"
        ) from error
