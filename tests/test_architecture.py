"""The house's import rules, read from the source: who may import whom, and what `import meze` may load.

`broken_rules` checks a tree against every rule; one test runs it on the checkout, another on a small tree
that breaks each rule once, so that no rule can fall asleep.
"""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from meze.envs import core

CHECKOUT = Path(__file__).parents[1]
FOLDERS = ("agents", "envs", "runners")

EXAMPLE = "envs.fire_escape"
"""The world that shows how one is written: with public names alone, in few lines."""
PUBLIC_ALONE = EXAMPLE, "envs.maze", "envs.tram", "envs.vacuum"
"""Worlds that use public names alone, as those of other packages do."""
OPEN = ".envs.core", ".envs.core.eight"
"""What they may import: names of the former, and the latter whole."""

WINDOWS = {
    "envs.core.window_process",
    "runners.show.screen",
    "runners.show.board",
    "runners.watch",
    "runners.play",
}
"""What may use pygame beside the renderers."""
LEARNING_LIBRARIES = {
    *("torch", "tensorboard", "sklearn", "deap", "cmaes", "neat", "stable_baselines3", "sb3_contrib"),
    *("onnxruntime", "onnxscript", "minari", "h5py"),
}
HOMES = {
    "torch": ("agents.deep", "agents.generative", "agents.sb3", "agents.encoders.autoencoders"),
    "deap": ("agents.evolution",),
    "cmaes": ("agents.evolution",),
    "neat": ("agents.evolution",),
    "stable_baselines3": ("agents.sb3",),
    "sb3_contrib": ("agents.sb3",),
}
"""Where among the agents a library may be used."""
FAMILIES = ("deep", "evolution", "encoders", "generative", "sb3")
"""Rooms of agents that know nothing of each other, but sb3 of the networks of deep."""
BELOW = {
    "setup": 0,
    "reporting": 0,
    "run": 1,
    "show": 2,
    "study": 2,
    "results": 2,
    "levels": 2,
    "tournament": 3,
    "tuning": 3,
}
"""Rooms of the runners to their floors: none knows of a higher one. On the roof stand the commands."""
LONGEST = 500
"""Lines of a file."""
FLOOR = ("caching", "checking", "comparing", "files", "kernels", "threads", "version")
"""Modules below all floors."""
SLOW = {"numba", "pygame", "scipy", "matplotlib", "imageio", "optuna", "mlxtend", "pandas", "ray"}
SLOW_TO_IMPORT = SLOW | LEARNING_LIBRARIES


class Import(NamedTuple):
    """One import statement's target, seen from the module that holds it."""

    module: str
    """Dotted path below the checkout, such as `envs.city.kernels`; empty for the root package."""
    line: int
    target: str
    """Absolute name; for the project's own modules a dot and the dotted path below the checkout."""
    lazy: bool
    """Inside a function: runs only when that is called."""


def module_name(root: Path, path: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sources(root: Path) -> list[Path]:
    return [
        *sorted(root.glob("*.py")),
        *(path for folder in FOLDERS for path in sorted((root / folder).rglob("*.py"))),
    ]


def targets(root: Path, path: Path, node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif node.level == 0:
        yield node.module or ""
    else:
        folder = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
        for alias in node.names:
            inner = folder / alias.name
            found = inner if inner.is_dir() or inner.with_suffix(".py").exists() else folder
            if alias.name in core.__all__ and folder == root / "envs" / "core":
                found = folder  # a public name hides the submodule that bears it, too
            yield "." + ".".join(found.relative_to(root).parts)


def imports_of(root: Path, path: Path) -> Iterator[Import]:
    module = module_name(root, path)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    inside = {id(inner) for function in functions for inner in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for target in targets(root, path, node):
                yield Import(module, node.lineno, target, id(node) in inside)


def below(target: str, *packages: str) -> bool:
    return any(target == package or target.startswith(package + ".") for package in packages)


def own_import_fault(imp: Import) -> str | None:
    """Says which rule an import of one of the project's own modules breaks."""
    top = imp.module.split(".")[0]
    if below(imp.target, ".runners") and not (top == "runners" or (imp.module == "" and imp.lazy)):
        return "nothing imports runners"
    if top == "agents" and below(imp.target, ".envs"):
        return "agents know no environment"
    if top == "envs" and below(imp.target, ".agents"):
        return "environments know no agent"
    if imp.target == "." and imp.module:
        return "nobody imports the face"
    if imp.module in FLOOR:
        return "what all floors use knows none of them"
    if imp.module == "" and not imp.lazy and not below(imp.target, ".envs.core", ".version"):
        return "the face registers worlds and loads nothing else"
    if top == "envs":
        home = ".".join(imp.module.split(".")[:2])
        known = (".envs.core", "." + home, *([] if home == "envs.core" else [".envs.streets"]))
        if below(imp.target, ".envs") and not below(imp.target, *known):
            return "a world imports envs.core, envs.streets and itself only"
        if home in PUBLIC_ALONE and below(imp.target, ".envs.core") and imp.target not in OPEN:
            return "this world uses public names of envs.core only"
    if top == "agents" and below(imp.target, ".agents"):
        own, other = family(imp.module), family(imp.target[1:])
        if other and own != other and (own, other) != ("sb3", "deep"):
            return "a family of agents knows no other, and what they share knows none"
    if top == "runners" and below(imp.target, ".runners"):
        own, other = room(imp.module), room(imp.target[1:])
        if other is None:
            return "nobody imports a command"
        if own is not None and own != other and BELOW[own] <= BELOW[other] and BELOW[other]:
            return "no room knows of a higher one"
    return None


def family(module: str) -> str | None:
    """The family of agents to which a module belongs, if it belongs to one."""
    part = module.split(".")[1:2]
    return part[0] if part and part[0] in FAMILIES else None


def room(module: str) -> str | None:
    """The runners' room in which a module is; None for a command."""
    part = module.split(".")[1:2]
    return part[0] if part and part[0] in BELOW else None


def is_dynamics_fault(imp: Import, dynamics: set[str]) -> bool:
    """Whether a world's dynamics import more than they may: numbers, random streams and the state."""
    home = ".".join(imp.module.split(".")[:2])
    if imp.target.startswith("."):
        return not (
            imp.target[1:] in dynamics
            or below(
                imp.target, ".envs.core.rng", ".envs.core.lots", ".envs.core.compiling", f".{home}.state"
            )
            or imp.target in OPEN
        )
    return imp.target.split(".")[0] not in {"__future__", "numba", "numpy"}


def dynamics_modules(imports: list[Import]) -> set[str]:
    """Every world's `kernels`, and the modules of that world into which it is divided."""
    found = {imp.module for imp in imports if imp.module.endswith(".kernels")}
    while True:
        parts = {
            imp.target[1:]
            for imp in imports
            if imp.module in found and below(imp.target, "." + imp.module.rpartition(".")[0])
        }
        parts = {part for part in parts if not part.endswith(".state")}
        if parts <= found:
            return found
        found |= parts


def foreign_import_fault(imp: Import) -> str | None:
    """Says which rule an import of another distribution breaks."""
    library = imp.target.split(".")[0]
    top = imp.module.split(".")[0]
    if library in {"meze", *FOLDERS}:
        return "imports inside the project are relative"
    if library == "pygame" and not imp.module.endswith("renderer") and imp.module not in WINDOWS:
        return "pygame only in renderers and windows"
    if library in LEARNING_LIBRARIES and top != "agents" and not imp.lazy:
        return "learning libraries only in agents, elsewhere lazily"
    if top == "agents" and library in HOMES and not below(imp.module, *HOMES[library]):
        return f"{library} only in {', '.join(HOMES[library])}"
    return None


def circles(imports: list[Import]) -> list[list[str]]:
    """Groups of modules each of which imports each other, over whatever way."""
    edges: dict[str, set[str]] = {}
    for imp in imports:
        if imp.target.startswith(".") and imp.target[1:] != imp.module:
            edges.setdefault(imp.module, set()).add(imp.target[1:])
    reached = {start: reach(edges, start) for start in edges}
    groups = {
        tuple(sorted(other for other in seen if start in reached.get(other, ())))
        for start, seen in reached.items()
        if start in seen
    }
    return [list(group) for group in sorted(groups)]


def reach(edges: dict[str, set[str]], start: str) -> set[str]:
    """All that can be reached from a module by at least one import."""
    seen: set[str] = set()
    todo = list(edges[start])
    while todo:
        if (module := todo.pop()) not in seen:
            seen.add(module)
            todo += edges.get(module, ())
    return seen


def broken_rules(root: Path) -> list[str]:
    """Lists the rules that a tree breaks, one line each with its place."""
    imports = [imp for path in sources(root) for imp in imports_of(root, path)]
    dynamics = dynamics_modules(imports)
    faults = []
    for imp in imports:
        fault = own_import_fault(imp) if imp.target.startswith(".") else foreign_import_fault(imp)
        if fault is None and imp.module in dynamics and is_dynamics_fault(imp, dynamics):
            fault = (
                "dynamics import only numba, numpy, core.rng, .lots, .compiling, .eight and their own state"
            )
        if fault:
            faults.append(f"{imp.module or 'meze'}, line {imp.line}, imports {imp.target}: {fault}")
    faults += [f"{each[0] or 'meze'}, import in a circle: {', '.join(each)}" for each in circles(imports)]
    for path in sources(root):
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > LONGEST:
            faults.append(f"{module_name(root, path)}, has {count} lines: more than {LONGEST}")
    return faults


def test_the_checkout_keeps_the_import_rules():
    assert broken_rules(CHECKOUT) == []


def lines_of_code(path: Path) -> int:
    """Lines that are neither blank, nor comments, nor parts of docstrings."""
    text = path.read_text(encoding="utf-8")
    strings = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(getattr(node.value, "value", None), str)
    ]
    told = {line for node in strings for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)}
    lines = enumerate(text.splitlines(), 1)
    return sum(number not in told and bool(line.strip(" ").partition("#")[0]) for number, line in lines)


@pytest.mark.parametrize(("world", "most"), [(EXAMPLE, 400), ("envs.maze", 800), ("envs.vacuum", 800)])
def test_small_worlds_stay_small(world, most):
    """In lines of code; the example's fogged twin apart, which the world does without."""
    folder = CHECKOUT.joinpath(*world.split("."))
    assert sum(lines_of_code(path) for path in folder.glob("*.py") if path.name != "fog.py") < most


# One module a line, and the one import that it must not have.
BREACHES = {
    "__init__.py": "from .agents import base",
    "agents/tabular.py": "from ..envs.core import world",
    "caching.py": "from .envs import core",
    "agents/dqn.py": "def f():\n    from ..runners import rollout",
    "envs/core/world.py": "from ...agents import base",
    "envs/core/batch.py": "from ..city import kernels",
    "envs/core/vector.py": "import torch",
    "envs/core/env.py": "def f():\n    import pygame",
    "envs/city/kernels.py": "from ..core.world import REWARD_SCALE",
    "envs/fire_escape/world.py": "from ..core.world import Kernels",
    "envs/forest/trees.py": "import math",
    "envs/city/world.py": "from ..kiosk.world import Kiosk",
    "envs/kiosk/kernels.py": "import math",
    "envs/kiosk/world.py": "from meze.envs.core.world import World",
    "runners/cli.py": "from envs.core.world import World",
    "runners/bench.py": "def f():\n    import pygame",
    "envs/core/replay.py": "from ... import __version__",
    "envs/core/rng.py": "from ..streets import maps",
    "envs/streets/maps.py": "from ..city import state",
    "agents/sb3/vec_env.py": "from ..evolution import inputs",
    "agents/cloning.py": "from .deep import networks",
    "agents/evolution/neat.py": "import torch",
    "agents/generative/critic.py": "from ..deep import networks",
    "agents/planning.py": "def f():\n    import deap",
    "runners/setup/files.py": "from ..run import rollout",
    "runners/reporting/page.py": "from ..show import screen",
    "runners/run/search.py": "def f():\n    from ..tournament import match",
    "runners/show/viewer.py": "from ..tournament import match",
    "runners/study/plots.py": "from ..bench import ROWS",
    "runners/play.py": "from . import watch",
    "envs/maze/a.py": "def f():\n    from . import b",
    "envs/farm/long.py": "\n" * 501,
}
KEPT = {
    "agents/deep/pqn.py": "import torch\nfrom ..base import Learner",
    "envs/core/window_process.py": "import pygame",
    "envs/city/renderer.py": "import pygame\nfrom .state import X",
    "envs/city/state.py": "from ..core.world import state_dtype\nfrom ...version import __version__",
    "envs/city/expert.py": "from .kernels import step_one\nfrom ..core import rng\nimport functools",
    "envs/fire_escape/kernels.py": "from ..core import chance, kernel\nfrom .state import X",
    "envs/forest/kernels.py": "from .trees import grow\nfrom .state import X\nfrom ..core.rng import chance",
    "runners/train.py": "from ..agents.base import Learner\nfrom ..envs.core import world\nfrom . import run",
    "runners/show/screen.py": "import pygame",
    "runners/tournament/match.py": "from ..show import screen\nfrom ..setup import files",
    "envs/maze/b.py": "from . import a",
    "envs/city/maps.py": "from ..streets import maps",
    "agents/sb3/trainers.py": "import torch\nfrom ..deep import networks",
    "agents/generative/gan.py": "import torch\nfrom ..base import State",
}


def test_each_rule_notices_its_breach(tmp_path: Path):
    for name, text in (BREACHES | KEPT).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for module in ("agents/base.py", "runners/run/start.py", "envs/forest/state.py"):
        (tmp_path / module).touch()

    breached = sorted(line.split(",")[0] for line in broken_rules(tmp_path))
    assert breached == sorted(
        "meze" if name == "__init__.py" else name[:-3].replace("/", ".") for name in BREACHES
    )


def test_packages_in_pyproject_are_those_in_the_tree():
    with (CHECKOUT / "pyproject.toml").open("rb") as file:
        listed = tomllib.load(file)["tool"]["setuptools"]["packages"]

    folders = {path.parent.relative_to(CHECKOUT) for path in sources(CHECKOUT)}
    assert sorted(listed) == sorted(".".join(("meze", *folder.parts)) for folder in folders)
    assert [str(folder) for folder in folders if not (CHECKOUT / folder / "__init__.py").exists()] == []


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("meze", SLOW_TO_IMPORT),
        ("meze.agents.registry", LEARNING_LIBRARIES),
        ("meze.runners.cli", {"pygame", *LEARNING_LIBRARIES}),
    ],
)
def test_import_loads_nothing_slow(module: str, unwanted: set[str]):
    code = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert set(loaded.split()) & unwanted == set()
