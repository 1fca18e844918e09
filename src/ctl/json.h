/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "ctl/writer.h"

/* Writes text as a JSON string, whatever bytes it holds. */
void json_write_string(Out *o, const char *text, size_t len);

/* Writes one object, each column's cell in the type that the column has. */
void json_write_object(Out *o, const Column *columns, const Cell *cells, size_t n);
