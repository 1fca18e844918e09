/* SPDX-License-Identifier: Apache-2.0 */
#include "source/source.h"

#include <string.h>

#include "source/source-internal.h"

static const Source *const sources[] = {
        &source_chime,
};

const Source *source_find(const char *name) {
        for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++)
                if (strcmp(sources[i]->name, name) == 0)
                        return sources[i];
        return NULL;
}

void source_request_clear(SourceRequest *r) {
        free(r->url);
        *r = (SourceRequest){ 0 };
}

void source_page_clear(SourcePage *p) {
        free(p->records);
        free(p->next);
        *p = (SourcePage){ 0 };
}

void source_answer_clear(SourceAnswer *a) {
        source_page_clear(&a->page);
        *a = (SourceAnswer){ 0 };
}
