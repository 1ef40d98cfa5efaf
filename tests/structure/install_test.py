#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# install_test.py - what is installed can be used: a program is built against it by pkg-config and by the CMake package,
# shared and static, and run.
import os
import pathlib
import re
import tempfile

import structure

CONSUMER = structure.ROOT / "tests" / "structure" / "consumer"
VERSION = re.search(r"project\(Meshcall VERSION (\S+)", structure.read("CMakeLists.txt")).group(1)

tally = structure.Tally()


def installed_files(prefix):
    found = {str(path.relative_to(prefix)) for path in prefix.rglob("*") if not path.is_dir()}
    return {re.sub(r"^lib/[^/]+-linux-gnu/", "lib/", name) for name in found}


def joined(folder, variable):
    """The folder before what the environment variable says already."""
    return ":".join([str(folder)] + [word for word in [os.environ.get(variable)] if word])


def needs_meshcall(program):
    return "libmeshcall.so.0" in structure.output("readelf", "-dW", program)


def try_program(program, built, what, static, library_dir):
    """A static program must run where no libmeshcall.so is found, a shared one with it."""
    if not tally.check(built.returncode == 0, f"{what}: {built.stdout}"):
        return
    environment = dict(os.environ)
    if not static:
        environment["LD_LIBRARY_PATH"] = joined(library_dir, "LD_LIBRARY_PATH")
    done = structure.run(program, env=environment)
    tally.check(done.returncode == 0 and done.stdout == f"{VERSION} OK \n", f"{what}: {done.returncode} {done.stdout}")
    tally.check(needs_meshcall(program) != static, f"{what}: linked the wrong library")


with tempfile.TemporaryDirectory(prefix="meshcall-") as scratch:
    scratch = pathlib.Path(scratch)
    done = structure.run("cmake", "--install", structure.BUILD, env=dict(os.environ, DESTDIR=str(scratch / "root")))
    if not tally.check(done.returncode == 0, f"cmake --install: {done.stdout}"):
        tally.finish()
    prefix = next((scratch / "root").rglob("include")).parent
    library_dir = next(prefix.rglob("meshcall.pc")).parent.parent

    have = installed_files(prefix)
    want = {path for path in structure.files(".h", under=("include",))}
    want |= {f"lib/{name}" for name in ("libmeshcall.so", "libmeshcall.so.0", f"libmeshcall.so.0.{VERSION}",
                                        "libmeshcall.a", "pkgconfig/meshcall.pc", "cmake/Meshcall/MeshcallConfig.cmake",
                                        "cmake/Meshcall/MeshcallConfigVersion.cmake",
                                        "cmake/Meshcall/MeshcallMbedTLS.cmake")}
    if (structure.BUILD / "bin" / "mesh").exists():
        want.add("bin/mesh")
    strangers = sorted(name for name in have - want if not re.match(r"lib/cmake/Meshcall/Meshcall(Shared|Static)", name))
    tally.check(want <= have, f"not installed: {sorted(want - have)}")
    tally.check(not strangers, f"installed too: {strangers}")
    for path in sorted(prefix.rglob("*.pc")) + sorted(prefix.rglob("*.cmake")):
        tally.check(str(structure.ROOT) not in path.read_text() and str(structure.BUILD) not in path.read_text(),
                    f"{path.name} names the folder it was built in")

    os.environ["PKG_CONFIG_PATH"] = joined(library_dir / "pkgconfig", "PKG_CONFIG_PATH")
    tally.check(structure.output("pkg-config", "--modversion", "meshcall").strip() == VERSION, "meshcall.pc: version")
    plain = structure.output("pkg-config", "--cflags", "--libs", "meshcall").split()
    static = structure.output("pkg-config", "--static", "--cflags", "--libs", "meshcall").split()
    tally.check("-lcares" not in plain and "-lcares" in static and "-lcjson" in static and
                "-lmbedtls" not in plain and "-lmbedtls" in static, f"meshcall.pc: {plain} {static}")
    static = ["-l:libmeshcall.a" if word == "-lmeshcall" else word for word in static]
    for kind, words in (("shared", plain), ("static", static)):
        program = scratch / f"by-pkg-config-{kind}"
        built = structure.run("gcc", "-std=c11", "-o", program, CONSUMER / "consumer.c", *words)
        try_program(program, built, f"pkg-config, {kind}", kind == "static", library_dir)

    done = structure.run("cmake", "-S", CONSUMER, "-B", scratch / "cmake", f"-DCMAKE_PREFIX_PATH={prefix}", "-G", "Ninja")
    if tally.check(done.returncode == 0, f"find_package(Meshcall): {done.stdout}"):
        for kind in ("shared", "static"):
            built = structure.run("cmake", "--build", scratch / "cmake", "--target", f"consumer-{kind}")
            try_program(scratch / "cmake" / f"consumer-{kind}", built, f"CMake, {kind}", kind == "static", library_dir)

    if (prefix / "bin" / "mesh").exists():
        done = structure.run(prefix / "bin" / "mesh", "--version")
        tally.check(done.returncode == 0 and VERSION in done.stdout, f"mesh --version: {done.returncode} {done.stdout}")
tally.finish()
