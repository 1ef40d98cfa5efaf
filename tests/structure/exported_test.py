#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# exported_test.py - headers, version script and libraries agree on what is exported, and lib/*/api_*.c define it.
import re

import structure

tally = structure.Tally()


def same(what, left, left_name, right, right_name):
    for name in sorted(left - right):
        print(f"{name}: in {left_name}, not in {right_name}")
    for name in sorted(right - left):
        print(f"{name}: in {right_name}, not in {left_name}")
    tally.check(left == right, f"{what}: {len(left ^ right)} differences")


def defined(nm):
    """Names with a definition that other objects can see."""
    rows = (line.split() for line in nm.splitlines())
    return {row[2].split("@")[0] for row in rows if len(row) == 3 and row[1].isupper() and row[1] not in "UA"}


headers = [name for path in structure.files(".h", under=("include",)) for name in
           structure.api_functions(structure.read(path))]
tally.check(len(headers) == len(set(headers)), "a function is declared twice")
declared = set(headers)
tally.check(len(declared) > 50, f"only {len(declared)} functions found in the headers")
tally.check(all(re.match(r"mesh_[a-z]", name) for name in declared), "a public name does not begin with mesh_")

script = re.sub(r"/\*.*?\*/", "", structure.read("lib/meshcall.map"), flags=re.S)
listed = re.findall(r"\b(mesh_\w+);", script)
tally.check(len(listed) == len(set(listed)), "meshcall.map lists a name twice")
tally.check(re.sub(r"\bmesh_\w+;", "", script).split() == ["MESH_0", "{", "global:", "local:", "*;", "};"],
            "meshcall.map is more than one list of names")
same("headers and version script", declared, "include/mesh", set(listed), "lib/meshcall.map")

shared = structure.BUILD / "libmeshcall.so"
static = structure.BUILD / "libmeshcall.a"
if tally.check(shared.exists(), "libmeshcall.so was not linked"):
    exported = defined(structure.output("nm", "-D", "--defined-only", shared))
    same("headers and shared library", declared, "include/mesh", exported, "libmeshcall.so")
    versions = set(re.findall(r"@@?(\w+)", structure.output("nm", "-D", "--defined-only", "--with-symbol-versions",
                                                            shared)))
    tally.check(versions == {"MESH_0"}, f"symbol versions are {sorted(versions)}, not MESH_0 alone")
if tally.check(static.exists(), "libmeshcall.a was not built"):
    strangers = sorted(name for name in defined(structure.output("nm", "--defined-only", static))
                       if not name.startswith("mesh_"))
    tally.check(not strangers, f"libmeshcall.a claims names outside mesh_: {', '.join(strangers)}")

folders = sorted({path.split("/")[1] for path in structure.files(".c", under=("lib",))})
where = {}
for path, file in structure.objects(*folders).items():
    if tally.check(file.is_file(), f"{path} was not compiled"):
        for name in defined(structure.output("nm", "--defined-only", file)):
            where.setdefault(name, []).append(path)
wrong = [f"{name} in {path}" for name, paths in sorted(where.items()) for path in paths
         if name in declared and not re.match(r"lib/\w+/api_\w+\.c$", path)]
tally.check(not wrong, f"exported functions outside api_*.c: {', '.join(wrong)}")
stray = [f"{name} in {path}" for name, paths in sorted(where.items()) for path in paths
         if name not in declared and not name.startswith("mesh__")]
tally.check(not stray, f"internal functions without mesh__: {', '.join(stray)}")
tally.check(defined("0000 T mesh_call@@MESH_0\n0000 t hidden\n U puts\n0000 A MESH_0\n") == {"mesh_call"},
            "defined() misreads nm")
tally.finish()
