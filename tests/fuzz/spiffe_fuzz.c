/* SPDX-License-Identifier: Apache-2.0 */
/* spiffe_fuzz.c - SPIFFE ids and patterns, against a reference that reads byte by byte.
 *
 * What is before the first line's end is an id and a pattern, what follows is held against it; patterns match as texts
 * do: the same text, or what is before the star and then some. */
#define FUZZ_NAME "spiffe"
#define FUZZ_ROUNDS 200000
#define FUZZ_WORDS                                                                                                     \
    "spiffe://", "SPIFFE://", "spiffe:", "td.example", ".evil", "/ns/", "/sa/", "/*", "*", "/..", "/.", "//", "%2f",   \
        ":443", "user@", "?", "#", "A", "\n"
#include "fuzz_main.h"

#include "wire/spiffe.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz0123456789.-_"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

static bool is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

static bool ref_is_id(struct view text)
{
    if (text.size > 2048 || text.size < 10 || memcmp(text.data, "spiffe://", 9) != 0)
        return false;
    size_t domain = 0, segment = 0, dots = 0;
    bool in_path = false;
    for (size_t i = 9; i < text.size; i++) {
        char c = text.data[i];
        if (c == '/') {
            if (in_path ? segment == 0 || (segment == dots && dots <= 2) : domain == 0)
                return false;
            in_path = true;
            segment = dots = 0;
        } else if (in_path) {
            segment++;
            dots += c == '.';
            if (!is_one_of(c, LOWER UPPER))
                return false;
        } else if (!is_one_of(c, LOWER) || ++domain > 255) {
            return false;
        }
    }
    return !in_path || (segment > 0 && !(segment == dots && dots <= 2));
}

static void check_id(struct view text)
{
    struct spiffe_id id;
    const char *problem = mesh__spiffe_parse(text, &id);
    FUZZ_CHECK((problem == NULL) == ref_is_id(text));
    if (problem) {
        FUZZ_CHECK(problem[0] != '\0' && id.text.size == 0 && id.trust_domain.size == 0 && id.path.size == 0);
        return;
    }
    FUZZ_CHECK(mesh__view_equal(id.text, text) && 9 + id.trust_domain.size + id.path.size == text.size);
    FUZZ_CHECK(id.trust_domain.data == text.data + 9);
    FUZZ_CHECK(id.path.size == 0 ||
               (id.path.data == id.trust_domain.data + id.trust_domain.size && *id.path.data == '/'));
    FUZZ_CHECK(mesh__spiffe_check_domain(id.trust_domain) == NULL);
    struct view name = mesh__spiffe_namespace(&id);
    FUZZ_CHECK(name.size == 0 || (name.data == id.path.data + 4 && memcmp(id.path.data, "/ns/", 4) == 0 &&
                                  memcmp(name.data + name.size, "/sa/", 4) == 0));
}

static void check_pattern(struct view text, struct view other)
{
    struct spiffe_pattern pattern;
    struct spiffe_id id;
    bool below = text.size > 2 && memcmp(text.data + text.size - 2, "/*", 2) == 0;
    struct view start = mesh__view(text.data, text.size - (below ? 2 : 0));
    bool good = mesh__spiffe_parse_pattern(text, &pattern) == NULL;
    bool has_path = ref_is_id(start) && memchr(start.data + 9, '/', start.size - 9) != NULL;
    FUZZ_CHECK(good == (below ? ref_is_id(start) : has_path));
    if (!good || mesh__spiffe_parse(other, &id) != NULL)
        return;
    bool expected = below ? other.size > start.size + 1 && memcmp(other.data, text.data, start.size + 1) == 0
                          : mesh__view_equal(text, other);
    FUZZ_CHECK(mesh__spiffe_matches(&pattern, &id) == expected);
    FUZZ_CHECK(!expected || mesh__view_equal(pattern.id.trust_domain, id.trust_domain));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct view all = { (const char *)data, size };
    const char *end = size > 0 ? memchr(data, '\n', size) : NULL;
    struct view first = mesh__view(all.data, end ? (size_t)(end - all.data) : size);
    struct view second = end ? mesh__view(end + 1, size - first.size - 1) : all;
    check_id(first);
    check_id(second);
    check_pattern(first, second);
    check_pattern(second, first);
    return 0;
}
