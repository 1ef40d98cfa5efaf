/* SPDX-License-Identifier: Apache-2.0 */
/* consumer.c - what a first user writes: prints the version, opens a client and closes it. */
#include <mesh/mesh.h>

#include <stdio.h>

static const char document[] = "{\"services\": {\"payment\": {\"endpoints\": [\"127.0.0.1:9001\"]}}}";

int main(void)
{
    mesh_config *config = NULL;
    mesh_client *client = NULL;
    mesh_error *error = NULL;
    mesh_status status = mesh_config_parse(document, sizeof(document) - 1, NULL, &config, &error);
    if (status == MESH_OK)
        status = mesh_client_open(config, NULL, &client, &error);
    if (status == MESH_OK)
        status = mesh_client_close(client, 0);
    mesh_client_free(client);
    mesh_config_free(config);
    (void)printf("%s %s %s\n", mesh_version(), mesh_status_name(status), mesh_error_text(error));
    mesh_error_free(error);
    return status == MESH_OK ? 0 : 1;
}
