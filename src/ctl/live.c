/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/live.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "ctl/width.h"

#define ERASE "\r\033[K"

static bool is_possible(const Live *l) {
        const char *term = getenv("TERM");

        return l->out->terminal && term && strcmp(term, "dumb") != 0;
}

void live_show(Live *l, const char *text) {
        char clean[1024];
        size_t len, fits;

        if (!is_possible(l))
                return;
        (void) text_clean(clean, sizeof clean, text, strlen(text));
        len = strlen(clean);
        if (!l->out->unicode)
                len = text_to_ascii(clean, len);
        /* the last column stays free, or some terminals go to the next line */
        fits = text_fit(clean, len, l->out->width > 1 ? l->out->width - 1 : 1, NULL);
        out_text(l->out, ERASE);
        out_write(l->out, clean, fits);
        out_flush(l->out);
        l->shown = true;
}

void live_clear(Live *l) {
        if (!l->shown)
                return;
        out_text(l->out, ERASE);
        l->shown = false;
}
