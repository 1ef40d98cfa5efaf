/* SPDX-License-Identifier: Apache-2.0 */
/* authorize_fuzz.c - policies, requests and alternatives, against a slow reference.
 *
 * A line "text" and what follows are an alternative and what is held against it, as a path and as another text; the
 * bytes also draw a policy and a request. */
#define FUZZ_NAME "authorize"
#define FUZZ_WORDS "{*}", "{**}", "/{*}/", "/{**}", "*", "/", "//", "a", "/a/b", "\n", "{", "}", "\xff\xff", "\x01\x01"
#include "fuzz_main.h"

#define MODEL_CHECK(condition) FUZZ_CHECK(condition)
#include "authorize_model.h"

static void check_alternative(struct view written, struct view text, bool path)
{
    struct text_match match;
    bool good = mesh__text_parse(written, path, &match) == NULL;
    FUZZ_CHECK(good == ref_is_alternative(written, path));
    if (good)
        FUZZ_CHECK(mesh__text_matches(&match, text) == ref_text(written, path, text));
    /* Also a template that is none is held against texts without harm. */
    match = (struct text_match){ TEXT_TEMPLATE, written };
    if (mesh__text_matches(&match, text))
        FUZZ_CHECK(text.size > 0 && written.size > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view all = { (const char *)data, size };
    const char *end = size > 0 ? memchr(data, '\n', size) : NULL;
    struct view written = mesh__view(all.data, end ? (size_t)(end - all.data) : size);
    struct view text = end ? mesh__view(end + 1, size - written.size - 1) : all;
    for (int path = 0; path < 2; path++)
        check_alternative(written, text, path == 1);
    (void)model_run(data, size);
    return 0;
}
