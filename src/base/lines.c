/* SPDX-License-Identifier: Apache-2.0 */
#include "base/lines.h"

#include <string.h>

char *lines_next(Lines *l) {
        char *line = l->at, *stop;

        if (line >= l->end)
                return NULL;
        stop = memchr(line, '\n', (size_t) (l->end - line));
        l->at = stop ? stop + 1 : l->end;
        if (!stop)
                stop = l->end;
        if (stop > line && stop[-1] == '\r')
                stop--;
        *stop = '\0';
        l->number++;
        return line;
}

char *skip_blanks(char *p) {
        return p + strspn(p, BLANKS);
}

void trim_end(char *text) {
        size_t len = strlen(text);

        while (len > 0 && strchr(BLANKS, text[len - 1]))
                text[--len] = '\0';
}
