/* SPDX-License-Identifier: Apache-2.0 */
/* dns_system.c - lines of words: hosts(5) and resolv.conf(5). */
#include "net/dns_system.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>

#define NDOTS_MAX 15

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

/* Takes the next line off the text; false at its end. */
static bool next_line(struct view *text, struct view *line)
{
    if (text->size == 0)
        return false;
    const char *end = memchr(text->data, '\n', text->size);
    size_t size = end ? (size_t)(end - text->data) : text->size;
    *line = mesh__view(text->data, size);
    size_t taken = size + (end != NULL);
    *text = mesh__view(text->data + taken, text->size - taken);
    return true;
}

/* Takes the next word off the line; false when none is left. */
static bool next_word(struct view *line, struct view *word)
{
    size_t start = 0, end;
    while (start < line->size && is_blank(line->data[start]))
        start++;
    for (end = start; end < line->size && !is_blank(line->data[end]);)
        end++;
    *word = mesh__view(line->data + start, end - start);
    *line = mesh__view(line->data + end, line->size - end);
    return word->size > 0;
}

/* Without the comment that one of `marks` begins. */
static struct view without_comment(struct view line, const char *marks)
{
    for (size_t i = 0; i < line.size; i++)
        if (line.data[i] != '\0' && strchr(marks, line.data[i]))
            return mesh__view(line.data, i);
    return line;
}

struct search {
    struct view domains[DNS_SEARCH_MAX];
    size_t count;
    size_t ndots;
    bool said; /* there was a line about domains: the last one counts */
};

static void read_domains(struct view words, size_t limit, struct search *search)
{
    struct view word;
    search->said = true;
    search->count = 0;
    while (search->count < limit && next_word(&words, &word))
        if (mesh__dns_is_host_name(word)) /* "." adds nothing, and no other name could be asked for */
            search->domains[search->count++] = word;
}

static void read_options(struct view words, struct search *search)
{
    struct view word;
    while (next_word(&words, &word)) {
        if (word.size < 7 || memcmp(word.data, "ndots:", 6) != 0)
            continue;
        size_t ndots = 0;
        for (size_t i = 6; i < word.size && word.data[i] >= '0' && word.data[i] <= '9' && ndots <= NDOTS_MAX; i++)
            ndots = ndots * 10 + (size_t)(word.data[i] - '0');
        search->ndots = ndots < NDOTS_MAX ? ndots : NDOTS_MAX;
    }
}

static void read_search(struct view text, const char *host_name, struct search *search)
{
    struct view line, word;
    search->count = 0;
    search->ndots = 1;
    search->said = false;
    while (next_line(&text, &line)) {
        if (line.size > 0 && (line.data[0] == '#' || line.data[0] == ';'))
            continue;
        if (!next_word(&line, &word))
            continue;
        if (mesh__view_equal(word, VIEW_LITERAL("search")))
            read_domains(line, DNS_SEARCH_MAX, search);
        else if (mesh__view_equal(word, VIEW_LITERAL("domain")))
            read_domains(line, 1, search);
        else if (mesh__view_equal(word, VIEW_LITERAL("options")))
            read_options(line, search);
    }
    const char *dot = strchr(host_name, '.');
    if (!search->said && dot != NULL && dot[1] != '\0') {
        search->domains[0] = mesh__view_of(dot + 1);
        search->count = 1;
    }
}

static bool add_name(struct buf *names, struct view host, struct view domain)
{
    while (domain.size > 0 && domain.data[domain.size - 1] == '.')
        domain.size--;
    if (domain.size > 0 && host.size + 1 + domain.size > DNS_NAME_MAX)
        return true; /* no such name can exist */
    if (!mesh__buf_append_view(names, host))
        return false;
    if (domain.size > 0 && !(mesh__buf_append_char(names, '.') && mesh__buf_append_view(names, domain)))
        return false;
    return mesh__buf_append_char(names, '\0');
}

bool mesh__dns_names(struct view resolv_conf, const char *host_name, struct view host, struct buf *names)
{
    const struct view none = { NULL, 0 };
    if (host.size > 0 && host.data[host.size - 1] == '.')
        return add_name(names, mesh__view(host.data, host.size - 1), none);
    struct search search;
    read_search(resolv_conf, host_name, &search);
    size_t dots = 0;
    for (size_t i = 0; i < host.size; i++)
        dots += host.data[i] == '.';
    bool ok = true, first = dots >= search.ndots;
    if (first)
        ok = add_name(names, host, none);
    for (size_t i = 0; ok && i < search.count; i++)
        ok = add_name(names, host, search.domains[i]);
    return ok && (first || add_name(names, host, none));
}

/* The number of a zone that may be given by name, as "eth0"; 0 when there is no such interface. */
static unsigned zone_number(struct view zone)
{
    char name[IF_NAMESIZE];
    if (zone.size == 0 || zone.size >= sizeof(name))
        return 0;
    unsigned long number = 0;
    bool digits = true;
    for (size_t i = 0; i < zone.size; i++) {
        name[i] = zone.data[i];
        digits = digits && name[i] >= '0' && name[i] <= '9';
        number = digits ? number * 10 + (unsigned long)(name[i] - '0') : 0;
    }
    name[zone.size] = '\0';
    return digits ? (number <= UINT16_MAX ? (unsigned)number : 0) : if_nametoindex(name);
}

bool mesh__dns_literal(struct view host, uint16_t port, struct address *out)
{
    char text[ADDRESS_TEXT_MAX];
    if (host.size == 0 || host.size > ADDRESS_TEXT_MAX / 2)
        return false;
    int length = (int)host.size;
    bool v6 = memchr(host.data, ':', host.size) != NULL;
    const char *percent = v6 ? memchr(host.data, '%', host.size) : NULL;
    if (percent != NULL) {
        size_t before = (size_t)(percent - host.data);
        unsigned zone = zone_number(mesh__view(percent + 1, host.size - before - 1));
        if (zone == 0)
            return false;
        length = snprintf(text, sizeof(text), "[%.*s%%%u]:%u", (int)before, host.data, zone, (unsigned)port);
    } else {
        length = snprintf(text, sizeof(text), v6 ? "[%.*s]:%u" : "%.*s:%u", length, host.data, (unsigned)port);
    }
    memset(out, 0, sizeof(*out));
    return mesh__address_parse(mesh__view(text, (size_t)length), true, out) == ADDRESS_OK;
}

int mesh__dns_hosts_find(struct view hosts, struct view host, struct dns_set *set)
{
    struct view line, ip, name;
    if (host.size > 0 && host.data[host.size - 1] == '.')
        host.size--;
    while (next_line(&hosts, &line)) {
        line = without_comment(line, "#");
        if (!next_word(&line, &ip))
            continue;
        bool named = false;
        while (!named && next_word(&line, &name))
            named = mesh__view_equal_nocase(name, host);
        struct address address;
        if (named && mesh__dns_literal(ip, set->port, &address) && !mesh__dns_set_add(set, &address))
            return ENOMEM;
    }
    return 0;
}

bool mesh__dns_is_host_name(struct view host)
{
    if (host.size > 0 && host.data[host.size - 1] == '.')
        host.size--;
    if (host.size == 0 || host.size > DNS_NAME_MAX)
        return false;
    size_t label = 0;
    for (size_t i = 0; i <= host.size; i++) {
        if (i == host.size || host.data[i] == '.') {
            if (label == 0 || label > 63)
                return false;
            label = 0;
            continue;
        }
        unsigned char c = (unsigned char)host.data[i];
        if (c <= ' ' || c == 0x7f || c == '\\')
            return false;
        label++;
    }
    return true;
}
