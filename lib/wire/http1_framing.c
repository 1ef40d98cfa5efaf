/* SPDX-License-Identifier: Apache-2.0 */
/* http1_framing.c - the start line read again strictly, then one walk over the fields that frame a message. */
#include "wire/http1_framing.h"

#include "wire/http1_check.h"

#define MAX_LENGTH_DIGITS 18 /* every number of so many digits fits an int64_t */
#define VERSION_SIZE 8       /* "HTTP/1.1" */

struct framing_fields {
    struct view host;
    size_t hosts, lengths, codings;
    bool bad_host, bad_length, bad_coding;
    bool close, keep_alive; /* what Connection lists */
    int64_t length;
    int64_t timeout_s;
};

/* The minor version of "HTTP/1.0" and "HTTP/1.1"; -1 for everything else. */
static int minor_version(struct view text)
{
    if (text.size != VERSION_SIZE || memcmp(text.data, "HTTP/1.", VERSION_SIZE - 1) != 0)
        return -1;
    char minor = text.data[VERSION_SIZE - 1];
    return minor == '0' || minor == '1' ? minor - '0' : -1;
}

/* The decimal number that is all of `text`; -1 when it is none or has too many digits. */
static int64_t decimal(struct view text)
{
    if (text.size == 0 || text.size > MAX_LENGTH_DIGITS)
        return -1;
    int64_t number = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return -1;
        number = number * 10 + (text.data[i] - '0');
    }
    return number;
}

/* "HTTP/1.1 200 reason"; the space before an empty reason may be missing. */
static const char *read_status_line(struct view line, struct http1_head *head)
{
    head->minor = minor_version(mesh__view(line.data, line.size < VERSION_SIZE ? line.size : VERSION_SIZE));
    if (head->minor < 0)
        return "an HTTP version other than 1.0 and 1.1";
    if (line.size < VERSION_SIZE + 4 || line.data[VERSION_SIZE] != ' ')
        return "a status line without a status of three digits";
    int64_t status = decimal(mesh__view(line.data + VERSION_SIZE + 1, 3));
    if (status < 100 || (line.size > VERSION_SIZE + 4 && line.data[VERSION_SIZE + 4] != ' '))
        return "a status outside 100..999";
    if (!mesh__http1_text(mesh__view(line.data + VERSION_SIZE + 4, line.size - VERSION_SIZE - 4)))
        return "a control character in the reason phrase";
    head->status = (int32_t)status;
    return status == 101 ? "101 Switching Protocols, which was not asked for" : NULL;
}

/* Splits "http://authority/path?query" (RFC 9112 3.2.2); the path may be empty. False when the target is not that. */
static bool split_absolute(struct view target, struct http1_head *head)
{
    static const struct view scheme = { "http://", 7 };
    if (target.size <= scheme.size || !mesh__view_equal_nocase(mesh__view(target.data, scheme.size), scheme))
        return false;
    size_t end = scheme.size;
    while (end < target.size && target.data[end] != '/' && target.data[end] != '?')
        end++;
    head->authority = mesh__view(target.data + scheme.size, end - scheme.size);
    head->path = mesh__view(target.data + end, target.size - end);
    /* From its second slash on the target reads as a path: so all of its bytes are looked at in one go. */
    return mesh__http1_authority(head->authority) &&
           mesh__http1_path(mesh__view(target.data + scheme.size - 1, target.size - scheme.size + 1));
}

/* Origin form, absolute form or "*"; RFC 9112 3.2. */
static bool read_target(struct view target, struct http1_head *head)
{
    bool options = mesh__view_equal(head->method, VIEW_LITERAL("OPTIONS"));
    head->path = target;
    if (mesh__view_equal(target, VIEW_LITERAL("*")))
        return options;
    if (mesh__http1_path(target))
        return true;
    if (!split_absolute(target, head))
        return false;
    if (head->path.size == 0)
        head->path = options ? VIEW_LITERAL("*") : VIEW_LITERAL("/");
    return true;
}

/* With single spaces. */
const char *mesh__http1_read_request_line(struct view line, struct http1_head *head)
{
    const char *space = memchr(line.data, ' ', line.size);
    if (space == NULL)
        return "a request line without a target";
    head->method = mesh__view(line.data, (size_t)(space - line.data));
    struct view rest = mesh__view(space + 1, line.size - head->method.size - 1);
    space = memchr(rest.data, ' ', rest.size);
    if (space == NULL)
        return "a request line without an HTTP version";
    struct view target = mesh__view(rest.data, (size_t)(space - rest.data));
    head->minor = minor_version(mesh__view(space + 1, rest.size - target.size - 1));
    if (head->minor < 0)
        return "an HTTP version other than 1.0 and 1.1";
    if (!mesh__http1_token(head->method))
        return "a method that is no token";
    if (mesh__view_equal(head->method, VIEW_LITERAL("CONNECT"))) /* whatever its target: a 2xx would open a tunnel */
        return "CONNECT, which asks for a tunnel";
    if (!read_target(target, head))
        return "a request target that is neither in origin form nor an http URL";
    return NULL;
}

/* Takes the next member off a comma-separated list; false when there is none. */
static bool next_member(struct view *list, struct view *member)
{
    if (list->data == NULL)
        return false;
    const char *comma = memchr(list->data, ',', list->size);
    size_t size = comma != NULL ? (size_t)(comma - list->data) : list->size;
    *member = mesh__view_trim(mesh__view(list->data, size));
    *list = comma != NULL ? mesh__view(comma + 1, list->size - size - 1) : mesh__view(NULL, 0);
    return true;
}

static void read_connection(struct view list, struct framing_fields *fields)
{
    struct view member;
    while (next_member(&list, &member)) {
        fields->close |= mesh__view_equal_nocase(member, VIEW_LITERAL("close"));
        fields->keep_alive |= mesh__view_equal_nocase(member, VIEW_LITERAL("keep-alive"));
    }
}

static void read_keep_alive(struct view list, struct framing_fields *fields)
{
    static const char name[] = "timeout=";
    struct view member;
    while (next_member(&list, &member))
        if (member.size >= sizeof name &&
            mesh__view_equal_nocase(mesh__view(member.data, sizeof name - 1), VIEW_LITERAL(name)))
            fields->timeout_s = decimal(mesh__view(member.data + sizeof name - 1, member.size - sizeof name + 1));
}

/* Only digits, directly followed by the line's end. */
static void read_length(struct view value, struct framing_fields *fields)
{
    fields->lengths++;
    fields->length = decimal(value);
    fields->bad_length |= fields->length < 0 || value.data[value.size] != '\r';
}

static void read_field(struct view name, struct view value, struct framing_fields *fields)
{
    switch (name.size) {
    case 4:
        if (mesh__view_equal_nocase(name, VIEW_LITERAL("host"))) {
            fields->hosts++;
            fields->host = value;
            fields->bad_host |= value.size > 0 && !mesh__http1_authority(value);
        }
        break;
    case 10:
        if (mesh__view_equal_nocase(name, VIEW_LITERAL("connection")))
            read_connection(value, fields);
        else if (mesh__view_equal_nocase(name, VIEW_LITERAL("keep-alive")))
            read_keep_alive(value, fields);
        break;
    case 14:
        if (mesh__view_equal_nocase(name, VIEW_LITERAL("content-length")))
            read_length(value, fields);
        break;
    case 17:
        if (mesh__view_equal_nocase(name, VIEW_LITERAL("transfer-encoding"))) {
            fields->codings++;
            fields->bad_coding |= !mesh__view_equal_nocase(value, VIEW_LITERAL("chunked"));
        }
        break;
    default:
        break;
    }
}

static const char *refuse_fields(enum http1_role role, int minor, const struct framing_fields *fields)
{
    if (fields->lengths > 1)
        return "more than one Content-Length";
    if (fields->bad_length)
        return "a Content-Length that is not one number";
    if (fields->codings > 0 && fields->lengths > 0)
        return "Transfer-Encoding beside Content-Length";
    if (fields->codings > 0 && minor == 0)
        return "Transfer-Encoding in HTTP/1.0";
    if (fields->codings > 1 || fields->bad_coding)
        return "a Transfer-Encoding other than chunked";
    if (role == HTTP1_REQUESTS && (fields->hosts > 1 || fields->bad_host))
        return "a Host that is not one authority";
    if (role == HTTP1_REQUESTS && fields->hosts == 0 && minor == 1)
        return "no Host in an HTTP/1.1 request";
    return NULL;
}

static bool never_has_body(enum http1_role role, bool to_head, int32_t status)
{
    return role == HTTP1_RESPONSES && (to_head || status < 200 || status == 204 || status == 304);
}

static enum http1_body body_kind(enum http1_role role, bool to_head, const struct http1_head *head,
                                 const struct framing_fields *fields)
{
    if (never_has_body(role, to_head, head->status))
        return BODY_NONE;
    if (fields->codings > 0)
        return BODY_CHUNKED;
    if (fields->lengths > 0)
        return fields->length > 0 ? BODY_LENGTH : BODY_NONE;
    return role == HTTP1_REQUESTS ? BODY_NONE : BODY_TO_CLOSE;
}

const char *mesh__http1_frame(enum http1_role role, bool to_head, struct view start_line, struct http1_head *head,
                              enum http1_body *body)
{
    const char *reason =
        role == HTTP1_RESPONSES ? read_status_line(start_line, head) : mesh__http1_read_request_line(start_line, head);
    if (reason != NULL)
        return reason;
    struct framing_fields fields = { .length = -1, .timeout_s = -1 };
    for (size_t i = 0; i < head->header_count; i++) {
        const mesh_header *field = &head->headers[i];
        if (field->name_size == 0)
            return "a header field without a name";
        read_field(mesh__view(field->name, field->name_size), mesh__view(field->value, field->value_size), &fields);
    }
    reason = refuse_fields(role, head->minor, &fields);
    if (reason != NULL)
        return reason;
    if (head->authority.size == 0) /* an absolute target's goes before Host: RFC 9112 3.2.2 */
        head->authority = fields.host;
    *body = body_kind(role, to_head, head, &fields);
    head->content_length = *body == BODY_NONE ? 0 : *body == BODY_LENGTH ? fields.length : -1;
    head->keep_alive_timeout_s = fields.timeout_s;
    head->keep_alive =
        *body != BODY_TO_CLOSE && !fields.close && (head->minor == 1 || fields.keep_alive) && fields.timeout_s != 0;
    return NULL;
}
