"""Networks from a user's own Python file, named `file.py:object`."""

import difflib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from torch import nn

from attacks.foreign import EndedError, started, told

_LISTED = 8
"""Names in a message, at most."""


def network_from_python(source: str, options: Mapping[str, int]) -> nn.Module:
    """Run a Python file and take a network from it.

    The object is a module, or a function or class that returns one. A function gets those of `options` that it has
    parameters for, by name, and may have no others without a default. Runs the user's code, as importing it would; the
    file may import its neighbours. What it sets in the process is put back (`attacks.foreign`). Raises ValueError in
    one line for whatever goes wrong, the user's errors included.
    """
    with started(source):
        found = object_in(source)
        if callable(found) and not isinstance(found, nn.Module):
            found = called(found, source, options)
    if not isinstance(found, nn.Module):
        raise ValueError(
            f"{source} is of type {type(found).__name__}: an nn.Module, or a function giving one, is needed"
        )
    return found


def at_rest(network: nn.Module) -> nn.Module:
    """Freeze a network and put it into evaluation mode; TorchScript has no `requires_grad_` for the whole."""
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    return network.eval()


def is_quantised(network: nn.Module) -> bool:
    """Whether a network contains quantised modules of torch, which have no gradients."""
    return any("quantized" in type(module).__module__ for module in network.modules())


def object_in(source: str) -> object:
    """Run a Python file and take the object that `file.py:object` names, as it is.

    Raises ValueError in one line where the file cannot be run, or has no such object.
    """
    path, _, name = source.rpartition(":")
    module = _run(Path(path))
    if not hasattr(module, name):
        known = [key for key, value in vars(module).items() if _is_candidate(value, module)]
        near = difflib.get_close_matches(name, known, n=1)
        listed = ", ".join(known[:_LISTED]) + (f" and {len(known) - _LISTED} more" if len(known) > _LISTED else "")
        hint = f"did you mean {near[0]}?" if near else f"it has {listed}"
        raise ValueError(f"{path} has no {name!r}" + (f": {hint}" if known else ""))
    found: object = getattr(module, name)
    return found


def called(builder: Callable[..., object], source: str, options: Mapping[str, int]) -> object:
    """Call a user's function with those of `options` that it has parameters for; its errors become ValueError."""
    parameters = inspect.signature(builder).parameters.values()
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    arguments = {each.name: options[each.name] for each in parameters if each.kind in named and each.name in options}
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    missing = [
        each.name
        for each in parameters
        if each.default is each.empty and each.kind not in variable and each.name not in arguments
    ]
    if missing:
        given = f"only {', '.join(options)} are given" if options else "it is called with none"
        raise ValueError(f"{source} needs the arguments {', '.join(missing)}, but {given}: write a function for them")
    try:
        with started(f"calling {source}"):
            return builder(**arguments)
    except EndedError:
        raise
    except Exception as error:
        raise ValueError(f"calling {source} failed: {_told(error, Path(source.rpartition(':')[0]))}") from error


def _run(path: Path) -> ModuleType:
    if not path.is_file():
        raise ValueError(f"no Python file at {path}")
    spec = importlib.util.spec_from_file_location(f"advgan_user_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and pickling look their module up by name; the neighbours are imported by theirs.
    sys.modules[spec.name] = module
    try:
        with started(f"running {path}"), _neighbours(path):
            spec.loader.exec_module(module)
    except EndedError:
        raise
    except Exception as error:
        raise ValueError(f"running {path} failed: {_told(error, path)}") from error
    return module


@contextmanager
def _neighbours(path: Path) -> Iterator[None]:
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def _is_candidate(value: object, module: ModuleType) -> bool:
    if isinstance(value, nn.Module):
        return True
    return callable(value) and getattr(value, "__module__", None) == module.__name__


def _told(error: Exception, path: Path) -> str:
    """Describe an exception in one line, with the number of the innermost line of the user's file."""
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).name == path.name
    ]
    if isinstance(error, SyntaxError):
        lines.append(error.lineno)
    words = f"{type(error).__name__}: {error.msg}" if isinstance(error, SyntaxError) else told(error)
    return words + (f" (line {lines[-1]})" if lines else "")
