"""Finds what a path offers to render: template files, and the values beside them."""

from __future__ import annotations

import importlib.util
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from agent.errors import UserError
from agent.printable import safe

OURS = Path(__file__).parent
MAY_FAIL = (
    ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, NameError,
    OSError, RuntimeError, SyntaxError, TypeError, ValueError,
)  # fmt: skip
"""What somebody else's template may raise; said in one line instead of a traceback."""


@dataclass(frozen=True, slots=True)
class Template:
    """One file with a function `template(context)`."""

    path: Path
    why: str
    make: Callable[[dict[str, object]], object]


@dataclass(frozen=True, slots=True)
class Folder:
    """Templates in the order of their names, and the file with default values, if any."""

    templates: tuple[Template, ...]
    defaults: Path | None


def find(path: Path) -> Folder:
    """Look for `templates/*.py` or `*.py`; a single file is itself."""
    if not path.exists():
        raise UserError(f"there is no {path}", "name a folder with templates, or one of them")
    inner = path / "templates"
    place = inner if inner.is_dir() else path
    files = sorted(place.glob("*.py")) if place.is_dir() else [place]
    templates = tuple(found for file in files if (found := _load(file)) is not None)
    if not templates:
        raise UserError(
            f"{path} holds no template", "a template is a .py file with def template(context)"
        )
    return Folder(templates, _defaults(place))


def _defaults(place: Path) -> Path | None:
    folder = place if place.is_dir() else place.parent
    beside = [folder / "values.yaml"]
    if folder.resolve().name == "templates":
        beside.append(folder.resolve().parent / "values.yaml")
    return next((one for one in beside if one.is_file()), None)


def _load(path: Path) -> Template | None:
    module = _module(path)
    make = getattr(module, "template", None)
    if not callable(make):
        return None  # helpers may lie beside templates
    return Template(path, (module.__doc__ or "").strip(), make)


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"knockon_template_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path} is no Python file", "a template ends in .py")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except UserError:
        raise
    except MAY_FAIL as error:
        raise complaint(path, error) from error
    return module


def complaint(path: Path, error: BaseException) -> UserError:
    """Say what went wrong in a template, and on which of its lines."""
    here = path.resolve()
    frames = traceback.extract_tb(error.__traceback__)
    lines = [one.lineno for one in frames if Path(one.filename).resolve() == here]
    if isinstance(error, SyntaxError):
        lines = [error.lineno]
    where = f"{path}, line {lines[-1]}" if lines and lines[-1] else str(path)
    if isinstance(error, ImportError) and (error.name or "").partition(".")[0] == "kubernetes":
        return UserError(f"{where}: {error}", "pip install 'knockon[k8s]'")
    return UserError(f"{where}: {_said(error)}")


def _said(error: BaseException) -> str:
    """Say each fault of a model with its place; pydantic's own text takes four lines for each."""
    listed = getattr(error, "errors", None)
    if not callable(listed):
        return f"{type(error).__name__}: {safe(str(error), 300)}"
    model = getattr(error, "title", type(error).__name__)
    faults = [
        f"{'.'.join(map(str, (model, *one['loc'])))}: {one['msg']}, got {one['input']!r:.60}"
        for one in listed()
    ]
    more = f" (and {len(faults) - 3} more)" if len(faults) > 3 else ""
    return safe("; ".join(faults[:3]) + more, 600)
