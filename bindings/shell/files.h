/* SPDX-License-Identifier: Apache-2.0 */
/* files.h - files that are read whole, and files that are replaced whole. */
#ifndef MESH_SHELL_FILES_H
#define MESH_SHELL_FILES_H

#include <stdbool.h>

/* Each gives EXIT_GO_ON, or what `verb` is to exit with after a complaint. */

/* Reads the file as text from malloc(). */
int files_read(const char *verb, const char *path, char **out);

/* Makes the folders that the path names, as far as they are not there. */
int files_make_folders(const char *verb, const char *path);

/* Whether anybody may read the file, or its owner only. */
enum files_access { FILES_PUBLIC = 0644, FILES_SECRET = 0600 };

/* Writes the file under another name beside it and renames it: whoever opens it sees the old text or the new one,
 * whole. Its folder must be there. */
int files_write(const char *verb, const char *path, const char *text, enum files_access access);

bool files_exists(const char *path);

#endif
