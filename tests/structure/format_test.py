#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# format_test.py - every C file looks as .clang-format says. Only version 14 is asked: others differ in details.
# long
import re
import shutil

import structure

VERSION = "14"


def formatter():
    for name in (f"clang-format-{VERSION}", "clang-format"):
        if shutil.which(name) and re.search(rf"version {VERSION}\.", structure.output(name, "--version")):
            return name
    return None


tally = structure.Tally()
program = formatter()
if program is None:
    print(f"clang-format {VERSION} is not installed: nothing was compared")
else:
    for path in structure.files(".c", ".h"):
        done = structure.run(program, "--dry-run", "-Werror", "--style=file", structure.ROOT / path)
        tally.check(done.returncode == 0, f"{path} is not formatted: {program} -i {path}")
    done = structure.run(program, "--dry-run", "-Werror", f"--style=file:{structure.ROOT}/.clang-format",
                         "--assume-filename=x.c", input="int  f ( void ){return 0;}\n")
    tally.check(done.returncode != 0, f"{program} accepts anything")
tally.finish()
