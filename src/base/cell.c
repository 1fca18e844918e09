/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cell.h"

#include <string.h>

Cell cell_text(const char *text) {
        return text ? (Cell){ .type = CELL_TEXT, .text = text, .len = strlen(text) } : (Cell){ 0 };
}
