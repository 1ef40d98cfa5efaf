#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# layers_test.py - a folder of lib/ includes only itself and the layers above it in the table of docs/ARCHITECTURE.md.
import structure

# From the top; what stands in one row is independent of each other.
ROWS = (("base",), ("policy",), ("balance",), ("call",), ("wire",), ("tls",), ("net",), ("config",),
        ("discover", "telemetry"), ("client", "server"))
LEVEL = {folder: level for level, row in enumerate(ROWS) for folder in row}
ONLY = {"sim": {"base", "policy", "balance", "call", "config"}}  # the simulator: pure code and the config, no more


def allowed(folder, other):
    if folder == other:
        return True
    if folder in ONLY:
        return other in ONLY[folder]
    return other in LEVEL and LEVEL[other] < LEVEL[folder]


def layers(path, text):
    folder = path.split("/")[1]
    if folder not in LEVEL and folder not in ONLY:
        return [f"lib/{folder} is not a layer"]
    complaints = []
    for line, name, angled in structure.includes(text):
        if angled:
            continue
        parts = name.split("/")
        if len(parts) != 2 or not (structure.ROOT / "lib" / name).is_file():
            complaints.append(f"line {line}: \"{name}\" is no file below lib/")
        elif not allowed(folder, parts[0]):
            complaints.append(f"line {line}: lib/{folder} must not include \"{name}\"")
    return complaints


def outside(path, text):
    """The tool, the examples and the public headers see the public headers only."""
    top = path.split("/")[0]
    complaints = []
    for line, name, angled in structure.includes(text):
        here = (structure.ROOT / path).parent / name
        if not angled and (top == "include" or not here.is_file() or ".." in name):
            complaints.append(f"line {line}: \"{name}\" is internal")
    return complaints


def flat(path, _text):
    return [] if path.count("/") == 2 else ["files of lib/ lie in lib/LAYER/"]


tally = structure.Tally()
library = structure.files(".c", ".h", ".def", under=("lib",))
tally.rule("flat", flat, library, bad=[("lib/base/deep/x.c", ""), ("lib/x.c", "")], good=[("lib/base/buf.c", "")])
tally.rule("layers", layers, [path for path in library if path.count("/") == 2],
           bad=[("lib/base/x.c", '#include "policy/retry.h"\n'), ("lib/policy/x.c", '#include "wire/http1.h"\n'),
                ("lib/wire/x.c", '# include "config/config.h"\n'), ("lib/sim/x.c", '#include "wire/address.h"\n'),
                ("lib/call/x.c", '#include "machine.h"\n'), ("lib/other/x.c", ""),
                ("lib/telemetry/x.c", '#include "discover/source.h"\n')],
           good=[("lib/config/x.c", '#include "base/buf.h"\n#include "wire/address.h"\n#include <cJSON.h>\n'),
                 ("lib/policy/x.c", '/* #include "wire/http1.h" */\n'),
                 ("lib/sim/x.c", '#include "call/machine.h"\n')])
tally.rule("public only", outside, structure.files(".c", ".h", under=("include", "bindings", "examples")),
           bad=[("bindings/shell/x.c", '#include "base/buf.h"\n'),
                ("examples/shop/x.c", '#include "../../lib/base/buf.h"\n'),
                ("include/mesh/x.h", '#include "base.h"\n')],
           good=[("bindings/shell/x.c", "#include <mesh/mesh.h>\n")])
tally.finish()
