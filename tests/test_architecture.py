"""The rooms of the package: imports point inwards, modules stay small, and what ships names no machine.

Ring 0 holds values, ring 1 logic without Flask, ring 2 the edges. A module imports its own ring and those further in.
"""

import ast
import json
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "flask_signalr"

RINGS = {
    "authorization": 0,
    "claim_types": 0,
    "claims": 0,
    "claims_header": 0,
    "connection_string": 0,
    "endpoint_errors": 0,
    "endpoints": 0,
    "error_text": 0,
    "errors": 0,
    "hub_protocols": 0,
    "json_protocol": 0,
    "key_source": 0,
    "invocation": 0,
    "messagepack_arrays": 0,
    "messagepack_protocol": 0,
    "messages": 0,
    "names": 0,
    "principal": 0,
    "protocol": 0,
    "refresh": 0,
    "service_errors": 0,
    "token_claims": 0,
    "tokens": 0,
    "upstream_headers": 0,
    "upstream_signature": 0,
    "emulator.access_keys": 1,
    "emulator.audiences": 1,
    "endpoint_settings": 1,
    "entra": 1,
    "emulator.client_calls": 1,
    "denial_log": 1,
    "dispatch": 1,
    "emulator.connections": 1,
    "emulator.entra": 1,
    "emulator.entra_roles": 1,
    "emulator.exchanged_keys": 1,
    "emulator.handshakes": 1,
    "emulator.membership": 1,
    "emulator.names": 1,
    "emulator.openapi": 1,
    "emulator.patience": 1,
    "emulator.rest": 1,
    "emulator.rest.views": 2,
    "emulator.service": 1,
    "emulator.settings": 1,
    "emulator.speaker": 1,
    "emulator.tokens": 1,
    "emulator.upstream_calls": 1,
    "emulator.upstream_queue": 1,
    "emulator.upstream_rules": 1,
    "negotiation": 1,
    "hosts": 1,
    "handler_signature": 1,
    "hub_methods": 1,
    "method_names": 1,
    "presence": 1,
    "redaction": 1,
    "rest": 1,
    "upstream": 1,
    "stores": 1,
    "answer": 2,
    "app_endpoints": 1,
    "clocks": 1,
    "endpoint_health": 1,
    "endpoint_monitor": 1,
    "endpoint_signal": 2,
    "app_services": 2,
    "app_state": 2,
    "auth": 2,
    "cli": 2,
    "client": 2,
    "config": 2,
    "config_keys": 2,
    "configured": 2,
    "emulator": 2,
    "extension": 2,
    "flask_cli": 2,
    "handler_check": 2,
    "hub": 2,
    "hub_options": 2,
    "hub_refresh": 2,
    "mounted_hub": 2,
    "origins": 2,
    "refresh_views": 2,
    "refusals": 2,
    "refused_connections": 1,
    "replay": 2,
    "routers": 2,
    "server_sdk_url": 2,
    "sign_out": 2,
    "testing": 2,
    "trace": 2,
    "turned_away": 2,
    "upstream_settings": 2,
    "upstream_token": 2,
    "upstream_views": 2,
    "views": 2,
    "": 2,
}
"""The ring of a module, or of a package and all that is in it; the longest name that fits decides."""

RING_0_MAY_IMPORT = {"jwt", "msgspec", "werkzeug.datastructures"}
CLOCKS_AND_IO = {
    "asyncio",
    "http",
    "io",
    "multiprocessing",
    "os",
    "pathlib",
    "select",
    "shutil",
    "signal",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "tempfile",
    "time",
    "urllib.request",
}
REPLACED_IN_WORKERS = {"queue", "select", "socket", "threading"}
CLOCK_CALLS = {"now", "utcnow", "today"}
EXTRAS = {
    "aiohttp",
    "azure",
    "cryptography",
    "flask_login",
    "gssapi",
    "krb5",
    "ldap3",
    "redis",
    "requests",
    "spnego",
    "urllib3",
}
MODULE_LINES = 280
FUNCTION_LINES = 50


def name_of(path: Path) -> str:
    """Return a file's module name within the package: ``auth.cookie``; ``""`` for the package itself."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").removesuffix(".")


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text()) for name, path in MODULES.items()}
every_module = pytest.mark.parametrize("module", MODULES, ids=lambda name: name or "flask_signalr")


def ring_of(module: str) -> int | None:
    """Return the ring that the table gives a module, or ``None`` for one that it does not know."""
    if module in RINGS:
        return RINGS[module]
    package = module.rpartition(".")[0]
    return ring_of(package) if package else None


def is_of_state_machine(module: str) -> bool:
    """Return whether a module is a part of the emulator that its edges stand around."""
    return module.startswith("emulator.") and ring_of(module) == 1


def imports_of(module: str) -> set[str]:
    """Return the absolute names that a module imports, wherever in its text the import stands."""
    names = set()
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{MODULES[module]}:{node.lineno}: imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def own_imports_of(module: str) -> set[str]:
    """Return the modules of this package that a module imports."""
    names = {name.removeprefix("flask_signalr").lstrip(".") for name in imports_of(module) if is_own(name)}
    return {name if name in MODULES else name.rpartition(".")[0] for name in names}


def is_own(name: str) -> bool:
    return name.partition(".")[0] == "flask_signalr"


def within(name: str, roots: set[str]) -> bool:
    """Return whether a dotted name is one of these or lies inside one."""
    return any(name == root or name.startswith(f"{root}.") for root in roots)


@every_module
def test_every_module_has_a_ring(module: str) -> None:
    """A newcomer is given a ring, in the table above, before it gets its first line."""
    assert ring_of(module) is not None, f"{MODULES[module]}: add {module!r} to RINGS in {__file__}"


@every_module
def test_imports_point_to_the_same_ring_or_further_in(module: str) -> None:
    outward = {name for name in own_imports_of(module) if (ring_of(name) or 0) > (ring_of(module) or 0)}

    assert not outward, f"{module} (ring {ring_of(module)}) imports {outward} of an outer ring"


def test_imports_make_no_cycle() -> None:
    """The sorter raises ``CycleError`` with the modules of a cycle."""
    graph = {module: own_imports_of(module) - {module} for module in MODULES}

    order = list(TopologicalSorter(graph).static_order())

    assert set(order) == set(MODULES)


def test_auth_plugins_do_not_know_each_other() -> None:
    """Each one can be dropped or replaced alone; not even a module between two of them ties them together."""
    plugins = {name for name in MODULES if is_plugin(name)}

    tied = {plugin: (reachable_from(plugin) & plugins) - {plugin} for plugin in plugins}

    assert not any(tied.values()), tied


def reachable_from(module: str) -> set[str]:
    """Return the modules of this package that a module imports, and those that these import, and so on."""
    found: set[str] = set()
    waiting = {module}
    while waiting:
        waiting = {name for imported in waiting for name in own_imports_of(imported)} - found
        found |= waiting
    return found


def is_plugin(module: str) -> bool:
    """Return whether a module defines a subclass of ``AuthScheme``."""
    classes = (node for node in ast.walk(TREES[module]) if isinstance(node, ast.ClassDef))
    return any(ast.unparse(base).endswith("AuthScheme") for node in classes for base in node.bases)


@pytest.mark.parametrize("module", [name for name in MODULES if ring_of(name) == 0])
def test_ring_0_needs_no_framework(module: str) -> None:
    """Values are made of the standard library and of the two libraries that read and write them."""
    foreign = {name for name in imports_of(module) if not is_own(name)}
    standard = {name for name in foreign if name.partition(".")[0] in sys.stdlib_module_names}

    assert all(within(name, RING_0_MAY_IMPORT) for name in foreign - standard)
    assert "logging" not in standard, "values have nothing to tell: they raise"


@pytest.mark.parametrize("module", [name for name in MODULES if ring_of(name) == 0 or is_of_state_machine(name)])
def test_values_and_the_state_machine_read_no_clock_and_do_no_io(module: str) -> None:
    """What is handed values and returns values can be tested by a table."""
    assert not {name for name in imports_of(module) if within(name, CLOCKS_AND_IO)}
    assert not clock_calls(TREES[module])
    assert not builtin_io(TREES[module])


def clock_calls(tree: ast.AST) -> list[str]:
    """Return the places that read ``datetime``'s clock."""
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return [ast.unparse(call) for call in calls if isinstance(call, ast.Attribute) and call.attr in CLOCK_CALLS]


def builtin_io(tree: ast.AST) -> list[str]:
    """Return the places that use ``open``, ``print`` or ``input``."""
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return [call.id for call in calls if isinstance(call, ast.Name) and call.id in {"open", "print", "input"}]


@pytest.mark.parametrize("module", [name for name in MODULES if ring_of(name) == 1])
def test_ring_1_knows_no_flask(module: str) -> None:
    assert not {name for name in imports_of(module) if within(name, {"flask", "werkzeug", "aiohttp"})}


@every_module
def test_what_gevent_replaces_is_looked_up_where_it_is_used(module: str) -> None:
    """It may do so after the app was loaded (gunicorn's ``--preload``), and the former blocks all of the worker."""
    taken = {name for name in imports_of(module) if "." in name and name.partition(".")[0] in REPLACED_IN_WORKERS}

    assert taken <= {"queue.Empty"}, "an exception blocks nothing"


@every_module
def test_a_module_has_one_screenful_of_nouns(module: str) -> None:
    """A module that outgrows the limit is split by noun, not folded smaller."""
    lines = len(MODULES[module].read_text().splitlines())

    assert lines <= MODULE_LINES, f"{MODULES[module]} has {lines} lines"


@every_module
def test_a_function_fits_on_a_screen(module: str) -> None:
    """Its docstring does not count."""
    long = {
        f"{MODULES[module]}:{node.lineno} {node.name}"
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and lines_of(node) > FUNCTION_LINES
    }

    assert not long


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_importing_the_package_loads_no_extra() -> None:
    """An app pays, in installed packages and in start-up time, for what it uses.

    What the base dependencies load by themselves is theirs: PyJWT looks for cryptography.
    """
    base = loaded_by("flask, jwt, msgspec")

    loaded = loaded_by("flask_signalr")

    assert "flask_signalr" in loaded
    assert not EXTRAS & (loaded - base)


def loaded_by(modules: str) -> set[str]:
    """Return the names of all modules that a fresh interpreter has after importing these."""
    program = f"import sys, {modules}; print(*sys.modules, sep='\\n')"
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(run.stdout.splitlines())


def test_the_coverage_gate_measures_all_of_ring_0() -> None:
    """`make check` lists the modules itself; a module added here is added there."""
    listed = re.search(r"^ring_0 := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert listed
    assert set(listed[1].split()) == {name for name, ring in RINGS.items() if ring == 0}


def test_the_locks_name_no_registry() -> None:
    """Whoever installs from them brings their own registry."""
    python_locks = sorted((ROOT / "requirements").glob("*.txt"))
    node_locks = sorted(ROOT.glob("*/package-lock.json"))

    addressed = [lock for lock in python_locks if re.search(r"://|--index|--find-links", lock.read_text())]
    resolved = [lock for lock in node_locks if any("resolved" in entry for entry in packages_in(lock))]

    assert python_locks
    assert not addressed
    assert not resolved


def packages_in(lock: Path) -> list[dict[str, object]]:
    return list(json.loads(lock.read_text())["packages"].values())


DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_python_blocks_are_marked_so_that_they_run(document: Path) -> None:
    """Only blocks marked ``python`` and nothing more are run; another spelling would leave an example untested."""
    marks = re.findall(r"^[ \t]*(?:`{3,}|~{3,})[ \t]*(\S.*?)[ \t]*$", document.read_text(), re.MULTILINE)

    assert {mark for mark in marks if mark.lower().startswith("py")} <= {"python"}
