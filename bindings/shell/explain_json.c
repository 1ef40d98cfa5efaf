/* SPDX-License-Identifier: Apache-2.0 */
/* explain_json.c - a result as one JSON object. Times are in microseconds. */
#include "explain.h"

#include <stdbool.h>

static double us(int64_t ns)
{
    return (double)ns / 1e3;
}

static bool is_utf8(const unsigned char *bytes, size_t size)
{
    for (size_t width; size > 0; bytes += width, size -= width)
        if ((width = json_utf8(bytes, size)) == 0)
            return false;
    return true;
}

static void write_body(struct json_out *out, const mesh_result *result)
{
    const void *body = mesh_result_body(result);
    size_t size = mesh_result_body_size(result);
    if (is_utf8(body, size))
        json_bytes(out, "body", body, size);
    else
        json_base64(out, "body_base64", body, size);
}

static void write_fields(struct json_out *out, const char *name, const mesh_result *result,
                         mesh_status (*field_at)(const mesh_result *, size_t, mesh_header *))
{
    mesh_header header;
    json_open(out, name, '[');
    for (size_t i = 0; field_at(result, i, &header) == MESH_OK; i++) {
        json_open(out, NULL, '{');
        json_bytes(out, "name", header.name, header.name_size);
        json_bytes(out, "value", header.value, header.value_size);
        json_close(out, '}');
    }
    json_close(out, ']');
}

static void write_security(struct json_out *out, const mesh_attempt *attempt)
{
    json_string(out, "tls_version", attempt->tls_version);
    json_string(out, "tls_suite", attempt->tls_suite);
    json_boolean(out, "tls_resumed", attempt->tls_resumed != 0);
    json_string(out, "alpn", attempt->alpn ? attempt->alpn : "");
    json_string(out, "peer_id", attempt->peer_id ? attempt->peer_id : "");
}

static void write_attempt(struct json_out *out, const mesh_attempt *attempt)
{
    char span[17];
    (void)snprintf(span, sizeof(span), "%016llx", (unsigned long long)attempt->span_id);
    json_open(out, NULL, '{');
    json_string(out, "endpoint", attempt->endpoint ? attempt->endpoint : "");
    json_string(out, "code", mesh_status_name(attempt->status));
    json_integer(out, "status", attempt->http_status);
    if (attempt->grpc_status >= 0)
        json_integer(out, "grpc_status", attempt->grpc_status);
    json_string(out, "pick", mesh_pick_name(attempt->pick));
    json_string(out, "retry", mesh_retry_name(attempt->retry));
    json_string(out, "stop", mesh_stop_name(attempt->stop));
    json_boolean(out, "reused", attempt->reused != 0);
    json_string(out, "protocol",
                attempt->http_version == 20   ? "HTTP/2"
                : attempt->http_version == 11 ? "HTTP/1.1"
                                              : "");
    json_integer(out, "errno", attempt->error_number);
    json_string(out, "span_id", span);
    json_decimal(out, "start_us", us(attempt->start_ns));
    json_decimal(out, "backoff_us", us(attempt->backoff_ns));
    json_decimal(out, "dns_us", us(attempt->dns_ns));
    json_decimal(out, "connect_us", us(attempt->connect_ns));
    json_decimal(out, "tls_us", us(attempt->tls_ns));
    json_decimal(out, "send_us", us(attempt->send_ns));
    json_decimal(out, "wait_us", us(attempt->wait_ns));
    json_decimal(out, "receive_us", us(attempt->receive_ns));
    if (attempt->reason)
        json_string(out, "reason", attempt->reason);
    if (attempt->tls_version)
        write_security(out, attempt);
    json_close(out, '}');
}

void explain_json(struct json_out *out, const mesh_result *result)
{
    mesh_status code = mesh_result_code(result);
    json_open(out, NULL, '{');
    json_integer(out, "status", mesh_result_status(result));
    json_string(out, "code", mesh_status_name(code));
    json_string(out, "category", mesh_category_name(mesh_status_category(code)));
    json_string(out, "message", mesh_result_message(result));
    json_decimal(out, "duration_us", us(mesh_result_duration_ns(result)));
    json_string(out, "trace_id", mesh_result_trace_id(result));
    if (mesh_result_grpc_status(result) >= 0) {
        json_integer(out, "grpc_status", mesh_result_grpc_status(result));
        json_string(out, "grpc_status_name", mesh_grpc_status_name(mesh_result_grpc_status(result)));
        json_string(out, "grpc_message", mesh_result_grpc_message(result));
    }
    write_fields(out, "headers", result, mesh_result_header);
    write_fields(out, "trailers", result, mesh_result_trailer);
    write_body(out, result);
    json_open(out, "attempts", '[');
    for (size_t i = 0; i < mesh_result_attempt_count(result); i++) {
        mesh_attempt attempt = MESH_ATTEMPT_INIT;
        if (mesh_result_attempt(result, i, &attempt) == MESH_OK)
            write_attempt(out, &attempt);
    }
    json_close(out, ']');
    json_close(out, '}');
}
