#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# headers_test.py - each header stands alone: the public ones in C11 and C++17, with gcc and clang, without a warning.
import os
import tempfile

import structure

WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror", "-fsyntax-only")
PUBLIC = (("gcc", "c", "c11"), ("g++", "c++", "c++17"), ("clang", "c", "c11"), ("clang++", "c++", "c++17"))
# Every _INIT macro must be a legal initializer, whatever else the program does with warnings.
USE = """
struct all {
    mesh_request request; mesh_attempt attempt; mesh_completion completion; mesh_options options;
    mesh_counters counters; mesh_reply reply;
};
int use(void);
int use(void)
{
    mesh_request request = MESH_REQUEST_INIT;
    mesh_attempt attempt = MESH_ATTEMPT_INIT;
    mesh_completion completion = MESH_COMPLETION_INIT;
    mesh_options options = MESH_OPTIONS_INIT;
    mesh_counters counters = MESH_COUNTERS_INIT;
    mesh_reply reply = MESH_REPLY_INIT;
    const struct all all = { request, attempt, completion, options, counters, reply };
    return all.request.size == sizeof(request) && all.reply.size == sizeof(reply) ? 0 : 1;
}
"""


def compile_text(text, compiler, language, standard, *more):
    with tempfile.NamedTemporaryFile("w", suffix=".c" if language == "c" else ".cc") as file:
        file.write(text)
        file.flush()
        return structure.run(compiler, f"-std={standard}", "-x", language, *WARNINGS, "-I", structure.ROOT / "include",
                             *more, file.name, env=dict(os.environ, LC_ALL="C"))


def stands(tally, text, what, *how):
    done = compile_text(text, *how)
    tally.check(done.returncode == 0, f"{what} with {' '.join(how[:3])}:\n{done.stdout}")


tally = structure.Tally()
for path in structure.files(".h", under=("include",)):
    name = path.removeprefix("include/")
    for how in PUBLIC:
        stands(tally, f"#include <{name}>\n#include <{name}>\n", name, *how)
for how in PUBLIC:
    stands(tally, "#include <mesh/mesh.h>\n" + USE, "the _INIT macros", *how)

cjson = structure.run("pkg-config", "--cflags", "libcjson").stdout.split()
for path in structure.files(".h", under=("lib",)):
    name = path.removeprefix("lib/")
    if name != "wire/llhttp_names.h":
        stands(tally, f"#include \"{name}\"\n#include \"{name}\"\nstruct alone;\n", name, "gcc", "c", "c11",
               "-D_GNU_SOURCE", "-I", str(structure.ROOT / "lib"), *cjson)
tally.check(compile_text("#include <mesh/mesh.h>\nint f(void) { long x = 1; char c = x; return c; }\n",
                         *PUBLIC[0]).returncode != 0, "a warning is not an error")
tally.finish()
