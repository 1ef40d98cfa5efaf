/* SPDX-License-Identifier: Apache-2.0 */
/* spiffe.c - one grammar for SPIFFE ids, trust domains and patterns; nothing is decoded, folded or repaired. */
#include "wire/spiffe.h"

static const struct view scheme = { "spiffe://", 9 };

static bool is_domain_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

static bool is_path_byte(char c)
{
    return is_domain_byte(c) || (c >= 'A' && c <= 'Z');
}

static bool begins_with(struct view text, struct view prefix)
{
    return text.size >= prefix.size && memcmp(text.data, prefix.data, prefix.size) == 0;
}

/* The bytes up to the next slash or the end. */
static struct view until_slash(struct view text)
{
    const char *slash = text.size > 0 ? memchr(text.data, '/', text.size) : NULL;
    return mesh__view(text.data, slash ? (size_t)(slash - text.data) : text.size);
}

static struct view without(struct view text, size_t size)
{
    return mesh__view(text.data + size, text.size - size);
}

const char *mesh__spiffe_check_domain(struct view name)
{
    if (name.size == 0)
        return "a SPIFFE id needs a trust domain";
    for (size_t i = 0; i < name.size; i++)
        if (!is_domain_byte(name.data[i]))
            return "a trust domain holds only a-z, 0-9, '.', '-' and '_'";
    return name.size > SPIFFE_DOMAIN_MAX ? "a trust domain is at most 255 bytes long" : NULL;
}

static const char *check_segment(struct view segment)
{
    if (mesh__view_equal(segment, VIEW_LITERAL(".")) || mesh__view_equal(segment, VIEW_LITERAL("..")))
        return "a SPIFFE id's path has no segment \".\" or \"..\"";
    for (size_t i = 0; i < segment.size; i++)
        if (!is_path_byte(segment.data[i]))
            return "a SPIFFE id's path holds only a-z, A-Z, 0-9, '.', '-', '_' and '/'";
    return NULL;
}

/* `path` is empty or begins with a slash. */
static const char *check_path(struct view path)
{
    while (path.size > 0) {
        path = without(path, 1);
        struct view segment = until_slash(path);
        if (segment.size == 0)
            return path.size == 0 ? "a SPIFFE id does not end in a slash" : "a SPIFFE id's path has no empty segment";
        const char *problem = check_segment(segment);
        if (problem)
            return problem;
        path = without(path, segment.size);
    }
    return NULL;
}

const char *mesh__spiffe_parse(struct view text, struct spiffe_id *out)
{
    memset(out, 0, sizeof(*out));
    if (text.size > SPIFFE_ID_MAX)
        return "a SPIFFE id is at most 2048 bytes long";
    if (!begins_with(text, scheme))
        return "a SPIFFE id begins with \"spiffe://\", in lower case";
    struct view domain = until_slash(without(text, scheme.size));
    struct view path = without(text, scheme.size + domain.size);
    const char *problem = mesh__spiffe_check_domain(domain);
    if (!problem)
        problem = check_path(path);
    if (!problem)
        *out = (struct spiffe_id){ .text = text, .trust_domain = domain, .path = path };
    return problem;
}

struct view mesh__spiffe_namespace(const struct spiffe_id *id)
{
    static const struct view ns = { "/ns/", 4 }, sa = { "/sa/", 4 };
    if (!begins_with(id->path, ns))
        return mesh__view(NULL, 0);
    struct view name = until_slash(without(id->path, ns.size));
    struct view rest = without(id->path, ns.size + name.size);
    if (!begins_with(rest, sa))
        return mesh__view(NULL, 0);
    struct view account = without(rest, sa.size);
    return until_slash(account).size == account.size ? name : mesh__view(NULL, 0);
}

const char *mesh__spiffe_parse_pattern(struct view text, struct spiffe_pattern *out)
{
    memset(out, 0, sizeof(*out));
    bool below = text.size >= 2 && memcmp(text.data + text.size - 2, "/*", 2) == 0;
    struct spiffe_id id;
    const char *problem = mesh__spiffe_parse(mesh__view(text.data, text.size - (below ? 2 : 0)), &id);
    if (problem)
        return problem;
    if (!below && id.path.size == 0)
        return "no peer has a trust domain's own id: add a path, or \"/*\" for all of the trust domain";
    *out = (struct spiffe_pattern){ .kind = below ? SPIFFE_BELOW : SPIFFE_EXACT, .id = id };
    return NULL;
}

bool mesh__spiffe_matches(const struct spiffe_pattern *pattern, const struct spiffe_id *id)
{
    if (!mesh__view_equal(pattern->id.trust_domain, id->trust_domain))
        return false;
    if (pattern->kind == SPIFFE_EXACT)
        return mesh__view_equal(pattern->id.path, id->path);
    size_t size = pattern->id.path.size;
    return id->path.size > size && id->path.data[size] == '/' &&
           (size == 0 || memcmp(id->path.data, pattern->id.path.data, size) == 0);
}
