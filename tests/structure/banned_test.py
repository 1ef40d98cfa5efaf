#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# banned_test.py - functions that are not called: those without a bound, and in the library those that read a clock
# behind the loop's back or change what belongs to the whole process.
import re

import structure

UNBOUNDED = {"strcpy", "stpcpy", "strcat", "sprintf", "vsprintf", "gets", "strtok", "rand", "srand", "gmtime",
             "localtime", "asctime", "ctime", "tmpnam", "mktemp", "alloca", "atof"}
PROCESS = {"signal", "sigaction", "sigset", "setlocale", "setenv", "unsetenv", "putenv", "umask", "chdir", "exit",
           "abort", "atexit", "system", "popen", "fork", "vfork", "sleep", "usleep", "nanosleep", "random", "drand48"}
CLOCK = {"time", "gettimeofday", "clock_gettime", "clock", "ftime", "timespec_get"}
CLOCK_FILE = "lib/net/clock.c"
CALL = re.compile(r"(?<![\w.>])(\w+)\s*\(")


def banned(path, text):
    forbidden = set(UNBOUNDED)
    if path.startswith("lib/"):
        forbidden |= PROCESS
        if path != CLOCK_FILE:
            forbidden |= CLOCK
    plain = structure.code(text)
    return [f"line {structure.line_of(plain, match.start())}: {match.group(1)}()" for match in CALL.finditer(plain)
            if match.group(1) in forbidden]


tally = structure.Tally()
tally.rule("banned functions", banned, structure.files(".c", ".h"),
           bad=[(path, f"x = {name}(y);") for path in ("lib/base/x.c", "tests/unit/base/x_test.c")
                for name in ("strcpy", "strcat", "sprintf", "gets", "strtok", "rand", "gmtime", "localtime")]
           + [("lib/base/x.c", f"x = {name} (y);") for name in ("time", "gettimeofday", "clock_gettime", "sigaction")]
           + [("lib/net/loop.c", "clock_gettime(CLOCK_MONOTONIC, &t);")],
           good=[(CLOCK_FILE, "clock_gettime(CLOCK_MONOTONIC, &t);"), ("lib/base/x.c", "/* strcpy(a, b) */"),
                 ("lib/base/x.c", 'puts("time(0)");'), ("lib/base/x.c", "world->clock(x); mesh__time(y); x.time(z);"),
                 ("bindings/shell/x.c", "sigaction(SIGINT, &a, NULL);"), ("lib/base/x.c", "gmtime_r(&t, &tm);")])
tally.finish()
