#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# libraries_test.py - each outside library is named in as few files as possible, and nowhere else.
import re

import structure

# What names the library; which files of lib/ may.
LIBRARIES = (
    ("cJSON", re.compile(r"\bcJSON\w*\b"), re.compile(r"lib/config/")),
    ("c-ares", re.compile(r"\bares(_\w+|\.h)"), re.compile(r"lib/net/dns\w*\.c$|lib/discover/\w+\.c$")),
    ("llhttp", re.compile(r"\bllhttp\w*|\bHPE_\w+"), re.compile(r"lib/wire/(http1\w*\.c|llhttp_names\.h)$")),
    ("xxHash", re.compile(r"\bXXH\w*|\bxxhash\.h"), re.compile(r"lib/balance/hash\.[ch]$")),
    ("nghttp2", re.compile(r"\bnghttp2\w*"), re.compile(r"lib/wire/http2(\w*\.c|_inside\.h)$")),
    ("mbedTLS", re.compile(r"\bmbedtls\w*|\bMBEDTLS_\w+|\bpsa_\w+"),
     re.compile(r"lib/tls/\w*mbedtls\w*\.[ch]$|bindings/shell/issue(_der|_read)?\.[ch]$")),
    ("libcurl", re.compile(r"\bcurl/|\bcurl_(easy|multi|global|slist|url)\w*|\bCURL\w*"), re.compile(r"lib/curl/")),
    ("libm", re.compile(r"\bmath\.h"), re.compile(r"(?!)")),
)


def named(path, text):
    plain = structure.code(text)
    angled = "\n".join(name for _, name, _ in structure.includes(text))
    complaints = []
    for library, pattern, places in LIBRARIES:
        match = pattern.search(plain) or pattern.search(angled)
        if match and not places.match(path):
            complaints.append(f"names {library}: {match.group(0)}")
    return complaints


tally = structure.Tally()
tally.rule("outside libraries", named, structure.files(".c", ".h", under=("lib", "include", "bindings", "examples")),
           bad=[("lib/client/x.c", "#include <cJSON.h>"), ("lib/client/x.c", "cJSON *x;"),
                ("lib/net/socket.c", "ares_init();"), ("lib/wire/trace.c", "#include <llhttp.h>"),
                ("lib/config/x.c", "#include <math.h>"), ("lib/balance/ring.c", "XXH64(a, b, c);"),
                ("lib/net/x.c", "#include <mbedtls/ssl.h>"), ("lib/tls/tls.h", "mbedtls_ssl_context *c;"),
                ("lib/tls/verify.c", "MBEDTLS_ERR_SSL_WANT_READ"), ("bindings/shell/certs.c", "mbedtls_pk_free(k);"),
                ("bindings/shell/x.c", "#include <curl/curl.h>"),
                ("lib/net/x.c", "nghttp2_session *s;"), ("lib/wire/http2.h", "nghttp2_session *s;"),
                ("lib/wire/grpc.c", "#include <nghttp2/nghttp2.h>")],
           good=[("lib/config/x.c", "cJSON *x; /* ares_init */"), ("lib/net/dns.c", "#include <ares.h>"),
                 ("lib/tls/tls_mbedtls.c", "mbedtls_ssl_free(s);"), ("bindings/shell/issue.c", "#include <mbedtls/pk.h>"),
                 ("lib/wire/http1.c", "llhttp_t parser;"), ("lib/wire/http2_send.c", "nghttp2_nv x;"),
                 ("lib/wire/http2_inside.h", "nghttp2_session *s;"), ("lib/client/x.c", 'x = "cJSON and curl";'),
                 ("lib/client/x.c", "TRANSPORT_CURL, /* llhttp */")])
tally.finish()
