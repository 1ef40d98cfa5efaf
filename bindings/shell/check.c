/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - `mesh check FILE`: every error of a configuration, and what is accepted but pointless. */
#include "input.h"
#include "json_out.h"

#include <stdio.h>
#include <string.h>

/* One line of what the library says, taken apart: NAME:LINE:COLUMN: message. */
struct finding {
    const char *text; /* the whole line */
    size_t size;
    const char *message;
    size_t message_size;
    int line, column; /* 0 where there is none */
};

/* Cuts the first line off `*text`; false at the end. */
static bool next_finding(const char **text, const char *name, struct finding *out)
{
    if (**text == '\0')
        return false;
    size_t size = strcspn(*text, "\n"), skip = strlen(name);
    *out = (struct finding){ *text, size, *text, size, 0, 0 };
    int used = 0;
    if (size > skip && memcmp(*text, name, skip) == 0 &&
        sscanf(*text + skip, ":%d:%d: %n", &out->line, &out->column, &used) == 2 && used > 0) {
        out->message = *text + skip + used;
        out->message_size = size - skip - (size_t)used;
    } else {
        out->line = out->column = 0;
    }
    *text += size + ((*text)[size] == '\n');
    return true;
}

static size_t count_lines(const char *text)
{
    size_t count = 0;
    for (; *text; text += strcspn(text, "\n"), text += *text == '\n')
        count++;
    return count;
}

static void print_findings(const char *text, const char *name, const char *kind)
{
    struct finding finding;
    while (next_finding(&text, name, &finding))
        fprintf(stderr, "%.*s%s%.*s\n", (int)(finding.message - finding.text), finding.text, kind,
                (int)finding.message_size, finding.message);
}

static void write_findings(struct json_out *out, const char *key, const char *text, const char *name)
{
    struct finding finding;
    json_open(out, key, '[');
    while (next_finding(&text, name, &finding)) {
        json_open(out, NULL, '{');
        if (finding.line > 0) {
            json_integer(out, "line", finding.line);
            json_integer(out, "column", finding.column);
        }
        json_bytes(out, "message", finding.message, finding.message_size);
        json_close(out, '}');
    }
    json_close(out, ']');
}

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

static void tell(const struct options *options, const char *name, mesh_status status, const char *errors,
                 const char *warnings)
{
    size_t wrong = count_lines(errors), pointless = count_lines(warnings);
    if (options->json) {
        struct json_out out = { stdout, false };
        json_open(&out, NULL, '{');
        json_string(&out, "file", options->config);
        json_boolean(&out, "ok", status == MESH_OK);
        write_findings(&out, "errors", errors, name);
        write_findings(&out, "warnings", warnings, name);
        json_close(&out, '}');
        printf("\n");
        return;
    }
    print_findings(errors, name, "");
    print_findings(warnings, name, "warning: ");
    if (status == MESH_OK)
        printf("%s: good, %zu warning%s\n", name, pointless, plural(pointless));
    else
        complain("check", "%s was refused: %zu error%s, %zu warning%s; correct the lines above", name, wrong,
                 plural(wrong), pointless, plural(pointless));
}

int run_check(int argc, char **argv)
{
    struct options options;
    mesh_config *config = NULL;
    mesh_error *error = NULL, *warnings = NULL;
    int code = options_parse(VERB_CHECK, argc, argv, &options);
    if (code == EXIT_GO_ON) {
        mesh_status status = input_config("check", options.config, &config, &error);
        if (status == MESH_OK)
            status = mesh_config_check(config, &error, &warnings);
        const char *errors = status == MESH_OK || error ? mesh_error_text(error) : mesh_status_text(status);
        tell(&options, strcmp(options.config, "-") == 0 ? "<stdin>" : options.config, status, errors,
             mesh_error_text(warnings));
        code = finish_output("check", exit_code_of(status));
    }
    mesh_error_free(warnings);
    mesh_error_free(error);
    mesh_config_free(config);
    options_free(&options);
    return code;
}
