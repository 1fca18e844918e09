/* SPDX-License-Identifier: Apache-2.0 */
/* A table for people.  The first rows are held back until the columns' widths are known; what comes
 * later is cut to fit on a terminal, and stands out of line elsewhere: a pipe gets every value whole. */
#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "ctl/show.h"
#include "ctl/width.h"
#include "ctl/writer-internal.h"

#define HELD_ROWS 500
#define HELD_BYTES ((size_t) 1 << 20) /* or so much of them, whichever comes first */
#define GAP 2                         /* between columns */
#define LEAST_TEXT 16                 /* of a column of text, as long as others can be left out */
#define NARROW 8                      /* of any column */
#define RANK_EXTRA 8                  /* from this rank on: only where everything fits whole */
#define CELL_SHOWN 1024               /* bytes of a cell on a terminal; more fit on none */

/* A cell, cleaned and ready to be shown. */
typedef struct Held {
        const char *text; /* own, or borrowed from the row */
        size_t len, width;
        char *own;
        size_t room; /* of own */
} Held;

typedef struct Table {
        Held *held; /* by row and column; the first row is used again for all that come later */
        size_t n_held, held_bytes;
        char *time;  /* what the times of a row are shown as */
        size_t last; /* visible column */
        size_t *width;
        bool *hidden;
        bool settled;
        bool upright; /* too narrow for a table: a line for each value */
} Table;

static int begin(Writer *w) {
        Table *t = calloc(1, sizeof *t);

        w->state = t;
        if (!t)
                return -ENOMEM;
        t->held = calloc(HELD_ROWS * (w->n ? w->n : 1), sizeof *t->held);
        t->width = calloc(w->n ? w->n : 1, sizeof *t->width);
        t->hidden = calloc(w->n ? w->n : 1, sizeof *t->hidden);
        t->time = calloc(w->n ? w->n : 1, SHOW_TIME_SIZE);
        if (!t->held || !t->width || !t->hidden || !t->time)
                return -ENOMEM;
        for (size_t i = 0; i < w->n; i++)
                t->width[i] = text_width(w->columns[i].title, strlen(w->columns[i].title));
        return 0;
}

static void release(Writer *w) {
        Table *t = w->state;

        if (!t)
                return;
        for (size_t i = 0; t->held && i < HELD_ROWS * w->n; i++)
                free(t->held[i].own);
        free(t->held);
        free(t->width);
        free(t->hidden);
        free(t->time);
        free(t);
}

/* ---- widths ---- */

/* Below this width a column says nothing: a time, a number or a status must be whole. */
static size_t least(const Writer *w, const Table *t, size_t column) {
        const Column *c = &w->columns[column];
        size_t enough = c->least;

        if (enough == 0)
                enough = c->type == COLUMN_TEXT || c->type == COLUMN_JSON ? LEAST_TEXT
                         : c->type == COLUMN_ANY                          ? NARROW
                                                                          : (size_t) -1;
        return t->width[column] < enough ? t->width[column] : enough;
}

/* What the table takes, with no column wider than most, nor (with needed) than it needs. */
static size_t total(const Writer *w, const Table *t, size_t most, bool needed) {
        size_t sum = 0, n = 0;

        for (size_t i = 0; i < w->n; i++) {
                size_t width = needed ? least(w, t, i) : t->width[i];

                if (t->hidden[i])
                        continue;
                sum += width < most ? width : most;
                n++;
        }
        return n ? sum + (n - 1) * GAP : 0;
}

/* The visible column that is the first to go, or n if only those that must stay are left. */
static size_t least_needed(const Writer *w, const Table *t) {
        size_t worst = w->n;

        for (size_t i = 0; i < w->n; i++)
                if (!t->hidden[i] && w->columns[i].rank > 1 &&
                    (worst == w->n || w->columns[i].rank >= w->columns[worst].rank))
                        worst = i;
        return worst;
}

/* The widest column that is wider than it needs to be (or, if that is not asked, of all); n: none. */
static size_t widest(const Writer *w, const Table *t, bool spare) {
        size_t at = w->n;

        for (size_t i = 0; i < w->n; i++)
                if (!t->hidden[i] && (!spare || t->width[i] > least(w, t, i)) &&
                    (at == w->n || t->width[i] > t->width[at]))
                        at = i;
        return at;
}

/* A column without a value in any row says nothing, once all rows are known. */
static void hide_empty(Writer *w) {
        Table *t = w->state;
        bool is_all = t->n_held < HELD_ROWS && t->held_bytes <= HELD_BYTES;

        for (size_t i = 0; i < w->n; i++) {
                size_t row = 0;

                while (row < t->n_held && t->held[row * w->n + i].len == 0)
                        row++;
                if (row == t->n_held && t->n_held > 0 && is_all && w->columns[i].rank > 1)
                        t->hidden[i] = true;
        }
}

/* Leaves columns out, then takes from the widest, until the table fits.  Where even those that must
 * stay do not fit, rows are written upright. */
static void settle(Writer *w) {
        Table *t = w->state;
        size_t limit = w->out->width, at;

        t->settled = true;
        if (limit == 0 || w->n == 0)
                return;
        hide_empty(w);
        while ((at = least_needed(w, t)) < w->n &&
               total(w, t, (size_t) -1, w->columns[at].rank < RANK_EXTRA) > limit)
                t->hidden[at] = true;
        while (total(w, t, (size_t) -1, false) > limit && (at = widest(w, t, true)) < w->n)
                t->width[at]--;
        if (total(w, t, NARROW, false) > limit) {
                t->upright = true;
                return;
        }
        while (total(w, t, (size_t) -1, false) > limit)
                t->width[widest(w, t, false)]--;
}

/* ---- lines ---- */

static void write_cell(Writer *w, size_t column, const Held *cell, const char *colour) {
        const Table *t = w->state;
        size_t width = t->width[column], used = cell->width, fits = cell->len;
        bool cut = used > width && w->out->width > 0;
        bool right = w->columns[column].type == COLUMN_NUMBER;

        if (cut) {
                fits = text_fit(cell->text, cell->len, width - 1, &used);
                used++;
        }
        if (right && used < width)
                out_pad(w->out, ' ', width - used);
        if (colour)
                out_text(w->out, colour);
        out_write(w->out, cell->text, fits);
        if (cut)
                out_text(w->out, w->out->unicode ? "…" : "~");
        if (colour)
                out_text(w->out, COLOUR_OFF);
        if (column != t->last && !right && used < width)
                out_pad(w->out, ' ', width - used);
}

/* "title  value" for each column that holds something, and an empty line. */
static void write_upright(Writer *w, const Held *cells) {
        size_t widest_title = 0;

        for (size_t i = 0; i < w->n; i++) {
                size_t width = text_width(w->columns[i].title, strlen(w->columns[i].title));

                widest_title = width > widest_title ? width : widest_title;
        }
        for (size_t i = 0; i < w->n; i++) {
                const char *title = w->columns[i].title;

                if (cells[i].len == 0)
                        continue;
                out_text(w->out, w->out->colour ? COLOUR_BOLD : "");
                out_text(w->out, title);
                out_text(w->out, w->out->colour ? COLOUR_OFF : "");
                out_pad(w->out, ' ', widest_title - text_width(title, strlen(title)) + GAP);
                out_write(w->out, cells[i].text, cells[i].len);
                out_char(w->out, '\n');
        }
        out_char(w->out, '\n');
}

static void write_line(Writer *w, const Held *cells, bool heading) {
        const Table *t = w->state;
        bool first = true;

        if (t->upright) {
                write_upright(w, cells);
                return;
        }
        for (size_t i = 0; i < w->n; i++) {
                const char *colour = NULL;

                if (t->hidden[i])
                        continue;
                if (!first)
                        out_pad(w->out, ' ', GAP);
                first = false;
                if (w->out->colour && heading)
                        colour = COLOUR_BOLD;
                else if (w->out->colour && w->columns[i].type == COLUMN_STATUS)
                        colour = show_status_colour(cells[i].text);
                write_cell(w, i, &cells[i], colour);
        }
        out_char(w->out, '\n');
}

static void write_heading(Writer *w) {
        Held *titles = calloc(w->n ? w->n : 1, sizeof *titles);

        if (!titles) {
                w->out->failed = ENOMEM;
                return;
        }
        for (size_t i = 0; i < w->n; i++)
                titles[i] = (Held){ .text = w->columns[i].title,
                                    .len = strlen(w->columns[i].title),
                                    .width = text_width(w->columns[i].title,
                                                        strlen(w->columns[i].title)) };
        write_line(w, titles, true);
        free(titles);
}

static void release_held(Writer *w) {
        Table *t = w->state;

        if (t->settled)
                return;
        settle(w);
        for (size_t i = 0; i < w->n; i++)
                if (!t->hidden[i])
                        t->last = i;
        if (w->n > 0 && !t->upright)
                write_heading(w);
        for (size_t i = 0; i < t->n_held; i++)
                write_line(w, t->held + i * w->n, false);
        for (size_t i = w->n; i < HELD_ROWS * w->n; i++)
                free(take_ptr(t->held[i].own));
        t->n_held = 0;
}

/* ---- rows ---- */

static bool make_room(Held *h, size_t size) {
        char *bigger;

        if (h->room >= size)
                return true;
        bigger = realloc(h->own, size);
        if (!bigger)
                return false;
        h->own = bigger;
        h->room = size;
        return true;
}

/* Puts text into h: most of it is printing ASCII, and can be shown as it is. */
static bool hold(Writer *w, const char *text, size_t len, Held *h) {
        const Table *t = w->state;
        bool simple = text_is_simple(text, len);

        if (simple && t->settled) {
                h->text = text;
                h->len = h->width = len;
                return true;
        }
        if (!make_room(h, len + 8))
                return false;
        h->text = h->own;
        if (simple) {
                memcpy(h->own, text, len);
                h->own[len] = '\0';
                h->len = h->width = len;
                return true;
        }
        (void) text_clean(h->own, len + 8, text, len);
        h->len = strlen(h->own);
        if (!w->out->unicode) {
                h->len = text_to_ascii(h->own, h->len);
                h->own[h->len] = '\0';
        }
        h->width = text_width(h->own, h->len);
        return true;
}

/* The cell as it is shown.  time belongs to the caller: h may borrow from it. */
static bool render(Writer *w, const Column *column, const Cell *c, char time[static SHOW_TIME_SIZE],
                   Held *h) {
        const char *text = c->text ? c->text : "";
        size_t len = c->len;

        if (c->type == CELL_NULL)
                text = "", len = 0;
        else if (c->type == CELL_BLOB)
                text = "(bytes)", len = strlen(text);
        else if (column->type == COLUMN_TIME) {
                text = show_time(text, w->local, time);
                len = strlen(text);
        } else if (column->type == COLUMN_BOOL)
                text = *text == '0' ? "no" : "yes", len = strlen(text);
        if (w->out->width > 0 && len > CELL_SHOWN)
                len = CELL_SHOWN;
        return hold(w, text, len, h);
}

static void row(Writer *w, const Cell *cells) {
        Table *t = w->state;
        Held *line = t->held + t->n_held * w->n; /* once all are settled, the first */

        for (size_t i = 0; i < w->n; i++) {
                if (!render(w, &w->columns[i], &cells[i], t->time + i * SHOW_TIME_SIZE, &line[i])) {
                        w->out->failed = ENOMEM;
                        return;
                }
                if (!t->settled) {
                        t->held_bytes += line[i].len;
                        if (line[i].width > t->width[i])
                                t->width[i] = line[i].width;
                }
        }
        if (t->settled)
                write_line(w, line, false);
        else if (++t->n_held == HELD_ROWS || t->held_bytes > HELD_BYTES)
                release_held(w);
}

const WriterFormat writer_table = {
        .begin = begin,
        .row = row,
        .flush = release_held,
        .end = release_held,
        .free = release,
};
