"""Finds a strategy by module path or file, and says in plain words what keeps it from running."""

import contextlib
import hashlib
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import mmats
from mmats.config.decode import closest
from mmats.config.schema import StrategyTable
from mmats.model.errors import StrategyError
from mmats.ports.strategy import IStrategy

_PACKAGE = str(Path(mmats.__file__).parent)  # compiled frames begin with mmats/
_METHODS = {  # name -> how many arguments the engine passes
    "initialize": 1,
    "on_market_data": 1,
    "on_signal_result": 2,
}
_SIGNATURES = {
    "initialize": "initialize(self, config)",
    "on_market_data": "on_market_data(self, data)",
    "on_signal_result": "on_signal_result(self, signal, result)",
}
# The running engine is made of these: new classes beside the old ones would break it.
_NEVER_RELOADED = sys.stdlib_module_names | {"mmats", "adapters"}


def create_strategy(table: StrategyTable, base_dir: Path, fresh: bool = False) -> IStrategy:
    """Load, construct and check the strategy of one `[[strategies]]` table.

    `initialize` is not called: that is the engine's, once the account is there. With `fresh` its
    module is read again.

    Raises
    ------
    StrategyError
        It can't be found or imported, breaks the contract, or does not support a symbol.
    """
    cls = load_strategy_class(table.source, base_dir, fresh)
    strategy = construct_strategy(cls, table.source)
    supported = strategy.supported_symbols
    for symbol in table.symbols if supported else ():
        if symbol not in supported and symbol.partition(".")[0] not in supported:
            raise StrategyError(
                f"does not support {symbol}; it supports {', '.join(supported)}",
                f"strategies[{table.name}]",
                closest(symbol, supported) or "change symbols, or supported_symbols",
            )
    return strategy


def load_strategy_class(source: str, base_dir: Path, fresh: bool = False) -> type:
    """Return the class that `module:Class`, `file.py` or `file.py:Class` names.

    Parameters
    ----------
    source : as in `[[strategies]]`
    base_dir : folder that a relative file starts from
    fresh : read a module again that has been imported before; files always are
    """
    is_file = source.endswith(".py") or ".py:" in source
    place, _, class_name = (
        source.rpartition(":") if not source.endswith(".py") else (source, "", "")
    )
    if is_file:
        return _pick_class(_import_file(base_dir, place, source), class_name, source)
    if not place or not class_name:
        raise StrategyError(
            "is neither module:Class nor a .py file",
            source,
            'write source = "strategies.trend:Trend" or source = "my_strategy.py"',
        )
    return _pick_class(_import_module(place, source, fresh), class_name, source)


def construct_strategy(cls: type, source: str) -> IStrategy:
    """Return an instance that keeps the contract; raise StrategyError with all it breaks."""
    with _plainly("raised an error in __init__", source):
        strategy = cls()
    with _plainly("raised an error in an attribute", source):
        breaches = contract_breaches(strategy)
    if breaches:
        lines = "".join(f"\n  {breach}" for breach in breaches)
        raise StrategyError(f"{cls.__name__} breaks the strategy contract{lines}", source)
    return strategy  # type: ignore[no-any-return]


def source_hash(strategy: IStrategy) -> str:
    """Return the sha256 of the file that a strategy's class comes from; empty if unknown."""
    module = sys.modules.get(type(strategy).__module__)
    path = Path(getattr(module, "__file__", None) or "")
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def contract_breaches(strategy: Any) -> list[str]:
    """Return in plain words what an object lacks to be an `IStrategy`; empty if nothing."""
    breaches = []
    name = getattr(strategy, "name", None)
    if not isinstance(name, str) or not name:
        breaches.append(f'name must be a text that is not empty, such as "trend"; it is {name!r}')
    symbols = getattr(strategy, "supported_symbols", None)
    is_sequence = isinstance(symbols, Sequence) and not isinstance(symbols, str)
    if not is_sequence or not all(isinstance(symbol, str) for symbol in symbols or ()):
        breaches.append(
            f'supported_symbols must be a list of texts, such as ["BTCUSDT"]; it is {symbols!r}'
        )
    for method, count in _METHODS.items():
        function = getattr(strategy, method, None)
        if not callable(function):
            breaches.append(f"lacks the method {_SIGNATURES[method]}")
        elif not _takes(function, count):
            breaches.append(f"{method} must take {count} arguments: {_SIGNATURES[method]}")
        elif inspect.iscoroutinefunction(function):
            breaches.append(f"{method} must be a plain function, not async")
    return breaches


def _takes(function: Any, count: int) -> bool:
    try:
        signature = inspect.signature(function)
    except ValueError:  # a compiled method without a signature: its call will tell
        return True
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _import_module(module: str, source: str, fresh: bool) -> ModuleType:
    with _plainly("can't be imported", source):
        try:
            known = sys.modules.get(module)
            is_ours = module.partition(".")[0] not in _NEVER_RELOADED
            if fresh and is_ours and known is not None and str(known.__file__).endswith(".py"):
                return importlib.reload(known)
            return importlib.import_module(module)
        except ModuleNotFoundError as error:
            # Only the module that was asked for: what it imports is another matter.
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                raise
    hint = "check the spelling, or give the path of the .py file"
    raise StrategyError(f"there is no module {module}", source, hint)


def _import_file(base_dir: Path, place: str, source: str) -> ModuleType:
    path = base_dir / place
    try:
        path = path.resolve()
        is_there = path.is_file()
    except (OSError, ValueError, RuntimeError) as error:  # too long, a zero byte, a loop of links
        raise StrategyError(f"is no path: {error}", source) from error
    if not is_there:
        start = "the working directory" if base_dir == Path.cwd() else f"the folder {base_dir}"
        raise StrategyError(f"there is no file {path}", source, f"paths start at {start}")
    # Two files of the same name must not replace one another in sys.modules.
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:12]
    name = f"mmats_strategy_{path.stem}_{digest}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise StrategyError("can't be read as Python", source)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with _plainly("can't be imported", source):
            spec.loader.exec_module(module)
    except StrategyError:
        del sys.modules[name]
        raise
    return module


def _pick_class(module: ModuleType, class_name: str, source: str) -> type:
    classes = {name: value for name, value in vars(module).items() if isinstance(value, type)}
    if class_name:
        if class_name not in classes:
            hint = closest(class_name, classes) or f"it has {', '.join(classes) or 'no class'}"
            raise StrategyError(f"there is no class {class_name}", source, hint)
        return classes[class_name]
    candidates = [
        name
        for name, value in classes.items()  # those that the file defines, not what it imports
        if value.__module__ == module.__name__ and hasattr(value, "on_market_data")
    ]
    if not candidates:
        hint = "a strategy is a class with on_market_data; see `mmats strategy new`"
        raise StrategyError("has no strategy in it", source, hint)
    if len(candidates) > 1:
        hint = f'write "{source}:{candidates[0]}"'
        raise StrategyError(f"has several strategies: {', '.join(candidates)}", source, hint)
    return classes[candidates[0]]


@contextlib.contextmanager
def _plainly(what: str, source: str) -> Iterator[None]:
    """Turn whatever the user's code raises into a StrategyError with the place it came from."""
    try:
        yield
    except (Exception, SystemExit) as error:
        raise StrategyError(f"{what}: {explain(error)}", source) from error


def explain(error: BaseException) -> str:
    """Return an exception as one line with the place in the user's code, where there is one."""
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} ({error.filename}, line {error.lineno})"
    place = raised_at(error)
    text = f"{type(error).__name__}: {error}"
    return f"{text} ({place})" if place else text


def raised_at(error: BaseException) -> str:
    """Return `FILE, line N` of the user's code that an error came from; empty if from none."""
    while error.__cause__ is not None:
        error = error.__cause__
    places = [
        f"{frame.filename}, line {frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((_PACKAGE, "mmats/", "<frozen importlib"))
    ]
    return places[-1] if places else ""
