/* SPDX-License-Identifier: Apache-2.0 */
/* certificates.h - authorities and certificates of the trust domain "shop" for tests: in memory, as identities, and as
 * files that are replaced in one step. The test ends where something cannot be made. */
#ifndef TESTS_SUPPORT_CERTIFICATES_H
#define TESTS_SUPPORT_CERTIFICATES_H

#include "shell/issue.h"
#include "tls/tls.h"

#define CERTIFICATE_HOUR ((int64_t)3600)

int64_t certificates_now(void); /* Unix seconds */

/* A new authority, each with a key of its own; from an hour ago for two days. */
void certificates_authority(struct issued *out);

/* A proper SVID of "spiffe://shop/NAME", from an hour ago for a day. */
void certificates_svid(const struct issued *authority, const char *name, struct issued *out);

/* What the request says; between an hour ago and in a day, if it does not say when. */
void certificates_issue(const struct issue_request *request, const struct issued *authority, struct issued *out);

/* An identity that shows `leaf` (NULL: none) and trusts the authority in PEM. */
struct tls_identity *certificates_identity(const struct issued *leaf, const char *authority);

/* A spec of it; the settings are with_certificate, resume, SPIFFE ids of any peer unless said otherwise. */
struct tls_spec *certificates_spec(struct tls_identity *, enum tls_side side, const struct tls_settings *or_null);

/* A folder of its own under /tmp, and its removal with what is in it. */
void certificates_folder(char path[64]);
void certificates_remove(const char *folder);

/* Replaces FOLDER/FILE in one step. */
void certificates_put(const char *folder, const char *file, const char *text);

/* Replaces FOLDER/NAME.key, then FOLDER/NAME.pem. */
void certificates_write(const char *folder, const char *name, const struct issued *issued);

#endif
