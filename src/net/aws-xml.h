/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* Runs for each element that holds text and no other elements, in document order.  path is the names
 * from the root on, parted by "/"; text is unescaped, NUL-terminated and valid during the call only.
 * Returning < 0 ends the reading with that code. */
typedef int (*XmlText)(const char *path, const char *text, void *userdata);

/* Reads a small XML document strictly: one root, every element closed, names without prefixes'
 * meaning, the five named entities and character references.  No DOCTYPE, no CDATA, no processing
 * instruction but the declaration: STS sends none, and what is never read cannot be abused.
 * -EBADMSG with a clause that quotes nothing; -ENOMEM; or what on_text returned. */
int xml_read(const char *text, size_t len, XmlText on_text, void *userdata, Error *err);
