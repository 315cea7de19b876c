#!/usr/bin/env python3
"""Holds the source tree to its layers (docs/decisions: the plan of the house) and to its sizes.

    check_layers.py <root of the repository>

Reads every file below src/ and prints one line for each offence, as file:line: what is wrong.
Nothing is compiled. The tables below are the rules; whoever changes one says why beside it.
"""

import re
import sys
from pathlib import Path

# What each part may include besides itself. A part is a folder below src/; a folder that is not
# named belongs to the nearest named one above it (twins/dtdl to twins).
BELOW = ("base", "json", "security", "store", "query")
USES = {
    "base": (),
    "json": ("base",),
    "security": ("base", "json"),
    "query": ("base", "json"),
    "store": ("base",),
    "store/memory": ("base", "store"),
    "store/rocksdb": ("base", "store"),
    "protocol/http": ("base",),
    "protocol/mqtt": ("base", "protocol/http"),  # PeerInfo: both come by the same connections
    "protocol/amqp": ("base", "protocol/http"),
    "protocol/websocket": ("base", "protocol/http"),
    "net": ("base", "security", "protocol/http", "protocol/mqtt", "protocol/amqp",
            "protocol/websocket"),
    # Service cores know no protocol; services see earlier ones through PUBLIC only.
    "resources": BELOW,
    # An event hub's events are AMQP messages, kept as they came; only their encoding is known here.
    "events": BELOW + ("resources", "protocol/amqp"),
    "hub": BELOW + ("resources", "events"),
    "twins": BELOW + ("resources", "events", "hub"),
    "functions": BELOW + ("resources", "events", "hub", "twins"),
    "provisioning": BELOW + ("resources", "events", "hub", "twins", "functions"),
    # Clients like any other: no service.
    "cli": ("base", "json", "security", "net", "protocol/http", "protocol/mqtt", "protocol/amqp",
            "protocol/websocket"),
    "simulator": ("base", "json", "security", "net", "cli", "protocol/http", "protocol/mqtt",
                  "protocol/amqp", "protocol/websocket"),
}
SERVICES = ("resources", "events", "hub", "twins", "functions", "provisioning")
WIRE_USES = ("protocol/http", "protocol/mqtt", "protocol/amqp", "protocol/websocket")
for _service in SERVICES:
    USES[_service + "/wire"] = USES[_service] + (_service,) + WIRE_USES

# Composition may use everything, engines included.
UNBOUND = ("server", "main.cc")

# What other services may include of a service.
PUBLIC = {
    "resources": ("api.h", "settings.h", "catalog.h"),  # catalog.h: names of the resource types
    "events": ("api.h", "settings.h", "amqp_text.h"),  # amqp_text.h: what a device's AMQP values say
    "hub": ("api.h", "settings.h"),
    "twins": ("api.h", "settings.h"),
    "functions": ("api.h", "settings.h"),
    "provisioning": ("api.h", "settings.h"),
}

# Tables in schemas/errors that are not named like their service.
ERRORS_OF = {"dps": "provisioning", "adt": "twins", "arm": "resources"}

# Only tests, fuzzers and test helpers may include these besides what their folder may.
FOR_TESTS = ("base/testing.h", "store/memory/", "store/contract_testing.h")

TEST_FILE = r"(_test|_fuzz|_bench)\.cc$|(testing|_fixture)\.(h|cc)$"

# Libraries that stay in one place: pattern of the include, where it may stand, why.
LIBRARIES = (
    (r"boost/asio", r"src/net/", "only net/ includes Asio"),
    (r"boost/beast", r"src/protocol/http/parser\.cc$", "only protocol/http/parser.cc includes Beast"),
    (r"rocksdb/", r"src/store/rocksdb/", "only store/rocksdb/ includes RocksDB"),
    (r"simdjson", r"src/json/", "only json/ includes simdjson"),
    (r"CLI/", r"src/(cli|simulator|server)/|src/main\.cc$", "only command lines include CLI11"),
    (r"(gtest|gmock)/", TEST_FILE, "only tests include GoogleTest"),
    (r"regex$", r"$.", "<regex> recurses over its input and is slow to compile"),
    (r"(format|print)$", r"$.", "the standard library here has no such header; use fmt"),
)

FILE_LINES_MAX = 450
FUNCTION_LINES_MAX = 80  # not for tests, whose tables may be long
# What is longer, with the size it must not outgrow. Splitting one takes it off its list.
LONG_FILES = {}
LONG_FUNCTIONS = {
    "src/twins/twin_service_relationships.cc": 90,
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def is_test(path):
    return bool(re.search(TEST_FILE, path))


def part_of(path):
    """The part that a path below src/ belongs to, or None."""
    folders = path.split("/")
    for size in range(len(folders), 0, -1):
        name = "/".join(folders[:size])
        if name in USES or name in UNBOUND:
            return name
    return None


def judge_include(path, included, exists):
    """What is wrong with a quoted include in the file `path` (both relative to src/), or None."""
    if "/" not in included or included.startswith(".") or "/../" in included:
        return f'"{included}" is not a path from src/'
    if not exists(included):
        return f'"{included}" does not exist'
    part = part_of(path)
    if part in UNBOUND:
        return None
    if part is None:
        return f"src/{path} is in no part that the table knows"
    if is_test(path) and included.startswith(FOR_TESTS):
        return None
    if included.startswith(FOR_TESTS) and not path.startswith("store/"):
        return f'"{included}" is for tests'

    owner = part.split("/")[0] if part.split("/")[0] in SERVICES else part
    if included.startswith("errors/"):  # generated; schemas/errors/<service>.tsv
        target = included.removeprefix("errors/").removesuffix(".h")
        target = ERRORS_OF.get(target, target)
        allowed = target == owner or target in USES[part]
        return None if allowed else f'{part} may not use the errors of {target}'
    if included.startswith("amqp/"):  # generated; schemas/amqp
        return None if part == "protocol/amqp" else "only protocol/amqp may include its tables"
    target = part_of(included)
    if target is None:
        return f'"{included}" is in no part that the table knows'
    if target == part:
        return None
    if target not in USES[part]:
        return f'{part} may not use {target} ("{included}")'
    if target in SERVICES and target != owner:
        if included.removeprefix(target + "/") not in PUBLIC[target]:
            return f'{part} may use {target} only through {", ".join(PUBLIC[target])}'
    return None


def judge_library(path, included):
    for pattern, place, why in LIBRARIES:
        if re.match(pattern, included) and not re.search(place, "src/" + path):
            return why
    return None


def without_text(line):
    """A line without its string and character literals and its line comment."""
    line = re.sub(r'"(\\.|[^"\\])*"', '""', line)
    line = re.sub(r"'(\\.|[^'\\])'", "' '", line)
    return line.split("//")[0].rstrip()


def long_functions(lines, limit):
    """(line number, length) of functions that are too long. Relies on clang-format: a function's
    closing brace stands alone, as far in as the line that begins it."""
    starts = {}  # indent -> line number of the last line that began something there
    for number, raw in enumerate(lines, 1):
        line = without_text(raw)
        if not line.strip():
            continue
        indent = len(line) - len(line.lstrip())
        text = line.strip()
        if text in ("}", "};") and indent in starts:
            begin, head = starts[indent]
            is_function = "(" in head and not re.match(
                r"(namespace|class|struct|enum|union|if|else|for|while|do|switch|try)\b", head)
            if text == "}" and is_function and indent <= 2 and number - begin + 1 > limit:
                yield begin, number - begin + 1
            del starts[indent]
            continue
        if re.match(r"(public|private|protected|case|default)\b.*:$", text):
            continue
        if not (text.startswith((")", "}", ":")) and indent in starts):
            starts[indent] = (number, text)


def check_file(root, file):
    path = str(file.relative_to(root / "src"))
    lines = file.read_text(encoding="utf-8").splitlines()

    def exists(included):
        if included.startswith("errors/"):
            service = included.removeprefix("errors/").removesuffix(".h")
            return (root / "schemas/errors" / (service + ".tsv")).exists()
        if included.startswith("amqp/"):
            table = included.removeprefix("amqp/").removesuffix(".h")
            return (root / "schemas/amqp" / (table + ".tsv")).exists()
        return (root / "src" / included).exists()

    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        quote, included = match.groups()
        wrong = judge_include(path, included, exists) if quote == '"' else None
        wrong = wrong or judge_library(path, included)
        if wrong:
            yield number, wrong
    limit = LONG_FILES.get("src/" + path, FILE_LINES_MAX)
    if len(lines) > limit:
        yield len(lines), f"the file has {len(lines)} lines; {limit} are allowed"
    if not is_test(path):
        limit = LONG_FUNCTIONS.get("src/" + path, FUNCTION_LINES_MAX)
        for number, length in long_functions(lines, limit):
            yield number, f"a function of {length} lines; {limit} are allowed"


def check_tree(root):
    root = Path(root)
    offences = []
    count = 0
    for file in sorted((root / "src").rglob("*")):
        if file.suffix not in (".h", ".cc"):
            continue
        count += 1
        for number, wrong in check_file(root, file):
            offences.append(f"{file.relative_to(root)}:{number}: {wrong}")
    for path in LONG_FILES:
        file = root / path
        if file.exists() and len(file.read_text(encoding="utf-8").splitlines()) <= FILE_LINES_MAX:
            offences.append(f"{path}:1: is short again: take it off LONG_FILES")
    for path in LONG_FUNCTIONS:
        file = root / path
        if file.exists() and not list(long_functions(
                file.read_text(encoding="utf-8").splitlines(), FUNCTION_LINES_MAX)):
            offences.append(f"{path}:1: has no long function any more: take it off LONG_FUNCTIONS")
    if count == 0:
        offences.append(f"{root}: no sources found")
    return offences


if __name__ == "__main__":
    found = check_tree(sys.argv[1] if len(sys.argv) > 1 else ".")
    print("\n".join(found) if found else "layers: clean")
    sys.exit(1 if found else 0)
