/* Wrote crt.json: requests that aws-c-auth, the signer of AWS's Common Runtime, signs with SigV4A, chunked and not.
 * Built against the sources in the awscrt 0.38.1 package: link aws-c-auth and what it needs. The keys are made up. */

#include <aws/auth/auth.h>
#include <aws/auth/credentials.h>
#include <aws/auth/signable.h>
#include <aws/auth/signing.h>
#include <aws/auth/signing_config.h>
#include <aws/auth/signing_result.h>
#include <aws/common/date_time.h>
#include <aws/common/string.h>
#include <aws/http/request_response.h>
#include <aws/io/stream.h>

#include <stdio.h>
#include <string.h>

#define CUR(text) aws_byte_cursor_from_c_str(text)

static const char data[] = "what the caller uploads, in chunks";
static struct aws_allocator *alloc;
static char signature[512];
static struct aws_http_message *target;

static void s_signed(struct aws_signing_result *result, int error_code, void *user_data) {
    (void)user_data;
    struct aws_string *value = NULL;
    AWS_FATAL_ASSERT(error_code == 0);
    if (target) {
        AWS_FATAL_ASSERT(aws_apply_signing_result_to_http_request(target, alloc, result) == 0);
    }
    aws_signing_result_get_property(result, g_aws_signature_property_name, &value);
    AWS_FATAL_ASSERT(value != NULL);
    snprintf(signature, sizeof(signature), "%s", aws_string_c_str(value));
}

static void s_sign(struct aws_signable *signable, struct aws_signing_config_aws *config) {
    AWS_FATAL_ASSERT(signable != NULL);
    AWS_FATAL_ASSERT(aws_sign_request_aws(alloc, signable, (void *)config, s_signed, NULL) == 0);
    aws_signable_destroy(signable);
}

static void s_json(struct aws_byte_cursor text) {
    putchar('"');
    for (size_t i = 0; i < text.len; ++i) {
        uint8_t byte = text.ptr[i];
        if (byte == '\r') {
            printf("\\r");
        } else if (byte == '\n') {
            printf("\\n");
        } else if (byte == '"' || byte == '\\') {
            printf("\\%c", byte);
        } else {
            putchar(byte);
        }
    }
    putchar('"');
}

static void s_chunk(char *body, struct aws_signing_config_aws config, const char *from, size_t len) {
    struct aws_byte_cursor cursor = {.ptr = (uint8_t *)from, .len = len};
    struct aws_input_stream *stream = aws_input_stream_new_from_cursor(alloc, &cursor);
    char previous[512];
    strcpy(previous, signature);
    config.signature_type = AWS_ST_HTTP_REQUEST_CHUNK;
    config.signed_body_header = AWS_SBHT_NONE;
    AWS_ZERO_STRUCT(config.signed_body_value);
    s_sign(aws_signable_new_chunk(alloc, stream, CUR(previous)), &config);
    aws_input_stream_release(stream);
    sprintf(body + strlen(body), "%zx;chunk-signature=%s\r\n%.*s%s", len, signature, (int)len, from, len ? "\r\n" : "");
}

static void s_case(const char *name, const char *payload, const char *regions, const char *token, bool query) {
    bool chunked = payload && strncmp(payload, "STREAMING", 9) == 0;
    bool trailer = chunked && strstr(payload, "TRAILER") != NULL;
    bool signed_chunks = chunked && strstr(payload, "ECDSA") != NULL;
    const char *checksum = "yzyHYWX/ItYcQUajfntOGNmGKOYy2v6WErKAvL2p8XE=";
    struct aws_http_message *message = aws_http_message_new_request(alloc);
    aws_http_message_set_request_method(message, CUR(query ? "GET" : "PUT"));
    aws_http_message_set_request_path(message, CUR("/bucket/a%20key%2B?x-id=PutObject"));
    struct aws_http_header host = {.name = CUR("Host"), .value = CUR("example.amazonaws.com")};
    aws_http_message_add_header(message, host);
    if (chunked) {
        struct aws_http_header length = {.name = CUR("x-amz-decoded-content-length"), .value = CUR("34")};
        struct aws_http_header encoding = {.name = CUR("Content-Encoding"), .value = CUR("aws-chunked")};
        aws_http_message_add_header(message, length);
        aws_http_message_add_header(message, encoding);
    }
    if (trailer) {
        struct aws_http_header header = {.name = CUR("x-amz-trailer"), .value = CUR("x-amz-checksum-sha256")};
        aws_http_message_add_header(message, header);
    }

    struct aws_credentials *credentials = aws_credentials_new(
        alloc, CUR("AKIDEXAMPLE"), CUR("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), CUR(token ? token : ""), UINT64_MAX);
    struct aws_signing_config_aws config;
    AWS_ZERO_STRUCT(config);
    config.config_type = AWS_SIGNING_CONFIG_AWS;
    config.algorithm = AWS_SIGNING_ALGORITHM_V4_ASYMMETRIC;
    config.signature_type = query ? AWS_ST_HTTP_REQUEST_QUERY_PARAMS : AWS_ST_HTTP_REQUEST_HEADERS;
    config.region = CUR(regions);
    config.service = CUR("s3");
    aws_date_time_init_epoch_secs(&config.date, 1440938160.0);
    config.signed_body_header = query ? AWS_SBHT_NONE : AWS_SBHT_X_AMZ_CONTENT_SHA256;
    config.credentials = credentials;
    config.expiration_in_seconds = query ? 3600 : 0;
    struct aws_byte_cursor whole = CUR(data);
    struct aws_input_stream *stream = aws_input_stream_new_from_cursor(alloc, &whole);
    if (payload) {
        config.signed_body_value = CUR(payload);
    } else {
        aws_http_message_set_body_stream(message, stream);
    }

    target = message;
    s_sign(aws_signable_new_http_request(alloc, message), &config);
    target = NULL;

    char body[8192] = "";
    if (signed_chunks) {
        for (size_t at = 0; at < sizeof(data) - 1; at += 13) {
            size_t left = sizeof(data) - 1 - at;
            s_chunk(body, config, data + at, left < 13 ? left : 13);
        }
        s_chunk(body, config, data, 0);
    } else if (chunked) {
        sprintf(body, "22\r\n%s\r\n0\r\n", data);
    } else if (!payload) {
        strcpy(body, data);
    }
    if (trailer) {
        sprintf(body + strlen(body), "x-amz-checksum-sha256:%s\r\n", checksum);
    }
    if (trailer && signed_chunks) {
        struct aws_http_headers *headers = aws_http_headers_new(alloc);
        aws_http_headers_add(headers, CUR("x-amz-checksum-sha256"), CUR(checksum));
        struct aws_signing_config_aws trailing = config;
        trailing.signature_type = AWS_ST_HTTP_REQUEST_TRAILING_HEADERS;
        trailing.signed_body_header = AWS_SBHT_NONE;
        AWS_ZERO_STRUCT(trailing.signed_body_value);
        char previous[512];
        strcpy(previous, signature);
        s_sign(aws_signable_new_trailing_headers(alloc, headers, CUR(previous)), &trailing);
        sprintf(body + strlen(body), "x-amz-trailer-signature:%s\r\n", signature);
        aws_http_headers_release(headers);
    }
    if (chunked) {
        strcat(body, "\r\n");
    }

    static bool more;
    struct aws_byte_cursor method, path;
    aws_http_message_get_request_method(message, &method);
    aws_http_message_get_request_path(message, &path);
    printf("%s\n  {\n   \"name\": \"%s\",\n   \"token\": ", more ? "," : "", name);
    more = true;
    token ? s_json(CUR(token)) : (void)printf("null");
    printf(",\n   \"method\": ");
    s_json(method);
    printf(",\n   \"target\": ");
    s_json(path);
    printf(",\n   \"headers\": {");
    for (size_t i = 0; i < aws_http_message_get_header_count(message); ++i) {
        struct aws_http_header header;
        aws_http_message_get_header(message, &header, i);
        printf("%s\n    ", i ? "," : "");
        s_json(header.name);
        printf(": ");
        s_json(header.value);
    }
    printf("\n   },\n   \"body\": ");
    s_json(CUR(body));
    printf("\n  }");
    aws_input_stream_release(stream);
    aws_credentials_release(credentials);
    aws_http_message_release(message);
}

int main(void) {
    alloc = aws_default_allocator();
    aws_auth_library_init(alloc);
    printf("{\n \"provenance\": \"aws-c-auth as in awscrt 0.38.1, driven by crt.c; keys made up for this file\",\n");
    printf(" \"cases\": [");
    s_case("signed body", NULL, "us-east-1", NULL, false);
    s_case("signed body of a session", NULL, "eu-west-1,us-east-1", "IQoJb3JpZ2luX2VjEA/+token==", false);
    s_case("unsigned body", "UNSIGNED-PAYLOAD", "*", NULL, false);
    s_case("presigned", "UNSIGNED-PAYLOAD", "us-east-1", NULL, true);
    s_case("presigned by a session", "UNSIGNED-PAYLOAD", "eu-west-1,us-east-1", "IQoJb3JpZ2luX2VjEA/+token==", true);
    s_case("chunked", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "*", NULL, false);
    s_case("chunked with a trailer", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER", "us-east-1", NULL, false);
    s_case("unsigned chunks", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "us-east-1", NULL, false);
    printf("\n ]\n}\n");
    return 0;
}
