/* SPDX-License-Identifier: Apache-2.0 */
/* call.c - `mesh call`: one call; the body of its response goes to standard output and nothing else does. */
#include "explain.h"
#include "input.h"

#define FAILING 400 /* statuses from here on are errors to HTTP */

static int end(const struct options *options, const mesh_result *result)
{
    mesh_status status = mesh_result_code(result);
    bool grpc = mesh_result_grpc_status(result) > MESH_GRPC_OK; /* the outcome of a call, which has no body then */
    if (options->json) {
        struct json_out out = { stdout, false };
        explain_json(&out, result);
        printf("\n");
    } else {
        (void)fwrite(mesh_result_body(result), 1, mesh_result_body_size(result), stdout);
    }
    int code = exit_code_of(status);
    if (status != MESH_OK)
        complain("call", "%s; %s", mesh_result_message(result), remedy_for(status));
    else if (grpc)
        complain("call", "%s; -v tells where it came from", mesh_result_message(result));
    else if (options->fail && mesh_result_status(result) >= FAILING)
        code = EXIT_STATUS;
    code = finish_output("call", grpc && code == EXIT_DONE ? EXIT_STATUS : code);
    if (code == EXIT_STATUS && !grpc)
        complain("call", "the response has status %d, which --fail makes a failure; -v tells where it came from",
                 (int)mesh_result_status(result));
    return code;
}

int run_call(int argc, char **argv)
{
    struct options options;
    mesh_client *client = NULL;
    mesh_result *result = NULL;
    int code = options_parse(VERB_CALL, argc, argv, &options);
    if (code == EXIT_GO_ON)
        code = input_client("call", &options, &client);
    if (code == EXIT_GO_ON) {
        mesh_request request;
        input_request(&options, &request);
        (void)mesh_call(client, options.service, &request, &result);
        if (options.verbose)
            explain(stderr, client, options.service, result);
        code = end(&options, result);
    }
    mesh_result_free(result);
    mesh_client_free(client);
    options_free(&options);
    return code;
}
