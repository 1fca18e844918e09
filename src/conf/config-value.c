/* SPDX-License-Identifier: Apache-2.0 */
/* From the text of a value to the slot that the key table names, and what to do with the slot. */
#include "conf/config-internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "base/timespan.h"

#define NO_MEMORY(err) error_set(err, -ENOMEM, "does not fit into memory")

static void list_clear(TextList *list) {
        for (size_t i = 0; i < list->count; i++)
                wipe_free(list->items[i]);
        free(list->items);
        *list = (TextList){ 0 };
}

/* Takes the text over, also when it fails. */
static int list_add(TextList *list, char *text) {
        char **items = reallocarray(list->items, list->count + 1, sizeof *items);

        if (!items) {
                wipe_free(text);
                return -ENOMEM;
        }
        list->items = items;
        items[list->count++] = text;
        return 0;
}

static int parse_word(const ConfigKey *k, const char *value, const ConfigWord **ret, Error *err) {
        const char *names[16], *meant;
        char list[160] = "";
        size_t n = 0, at = 0;

        for (const ConfigWord *w = k->words; w->word && n < 16; w++) {
                int len = snprintf(list + at, sizeof list - at, "%s%s",
                                   n == 0      ? ""
                                   : w[1].word ? ", "
                                               : " or ",
                                   w->word);

                if (strcmp(w->word, value) == 0) {
                        *ret = w;
                        return 0;
                }
                names[n++] = w->word;
                at += (size_t) len < sizeof list - at ? (size_t) len : sizeof list - at - 1;
        }
        meant = text_did_you_mean(value, names, n);
        return error_set(err, -EINVAL, "is not %s%s%s%s", list, meant ? "; did you mean " : "",
                         meant ? meant : "", meant ? "?" : "");
}

static int parse_text(const ConfigKey *k, const char *value, size_t len, char **ret, Error *err) {
        CLEANUP(wipe_freep) char *copy = strndup(value, len);
        const ConfigWord *word = k->words;
        int r = 0;

        if (!copy)
                return NO_MEMORY(err);
        if (k->words)
                r = parse_word(k, copy, &word, err);
        if (r == 0 && k->check)
                r = k->check(copy, err);
        if (r < 0)
                return r;
        *ret = take_ptr(copy);
        return 0;
}

/* Says which of several items is wrong. */
static int blame_item(const char *value, const char *item, size_t len, Error *err) {
        char shown[64], why[sizeof err->msg];

        if (strlen(value) == len)
                return err->code;
        (void) snprintf(why, sizeof why, "%s", err->msg);
        return error_set(err, err->code, "holds \"%s\", which %s",
                         text_clean(shown, sizeof shown, item, len), why);
}

static int parse_list(const ConfigKey *k, const char *value, TextList *slot, Error *err) {
        static const char separators[] = ", \t";
        TextList list = { 0 };
        char *text = NULL;
        int r = 0;

        if (k->flags & KEY_REPEATABLE) {
                if (slot->count >= k->max)
                        return error_set(err, -EINVAL,
                                         "is one too many; at most %" PRIu64 " are allowed",
                                         k->max);
                r = parse_text(k, value, strlen(value), &text, err);
                return r < 0 ? r : list_add(slot, text) < 0 ? NO_MEMORY(err) : 0;
        }

        for (const char *p = value; r == 0 && *(p += strspn(p, separators));) {
                size_t len = strcspn(p, separators);

                if (list.count >= k->max)
                        r = error_set(err, -EINVAL, "has more than %" PRIu64 " parts", k->max);
                else if ((r = parse_text(k, p, len, &text, err)) < 0)
                        r = blame_item(value, p, len, err);
                else if (list_add(&list, text) < 0)
                        r = NO_MEMORY(err);
                p += len;
        }
        if (r == 0 && list.count == 0)
                r = error_set(err, -EINVAL, "is only commas; name at least one, or nothing at all");
        if (r < 0) {
                list_clear(&list);
                return r;
        }
        list_clear(slot);
        *slot = list;
        return 0;
}

static int parse_bool(const char *value, bool *slot, Error *err) {
        static const char *const yes[] = { "yes", "true", "on", "1", "y", "t" };
        static const char *const no[] = { "no", "false", "off", "0", "n", "f" };

        for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
                if (strcasecmp(value, yes[i]) == 0 || strcasecmp(value, no[i]) == 0) {
                        *slot = strcasecmp(value, yes[i]) == 0;
                        return 0;
                }
        return error_set(err, -EINVAL, "is neither yes nor no");
}

/* Decimal digits only; -EINVAL for anything else and for what is above max. */
static int read_digits(const char *text, size_t len, uint64_t max, uint64_t *ret) {
        uint64_t n = 0;

        if (len == 0)
                return -EINVAL;
        for (size_t i = 0; i < len; i++) {
                if (text[i] < '0' || text[i] > '9')
                        return -EINVAL;
                n = n * 10 + (uint64_t) (text[i] - '0');
                if (n > max)
                        return -EINVAL;
        }
        *ret = n;
        return 0;
}

static int parse_number(const ConfigKey *k, const char *value, unsigned *slot, Error *err) {
        uint64_t n = 0;

        if (read_digits(value, strlen(value), k->max, &n) < 0 || n < k->min)
                return error_set(err, -EINVAL, "is not a whole number from %" PRIu64 " to %" PRIu64,
                                 k->min, k->max);
        *slot = (unsigned) n;
        return 0;
}

/* Not strtod(): that follows the locale and takes "inf" and "0x1p3". */
static int parse_decimal(const ConfigKey *k, const char *value, double *slot, Error *err) {
        size_t len = strcspn(value, "."), frac_len = value[len] ? strlen(value + len + 1) : 0;
        uint64_t whole = 0, frac = 0;
        double n, scale = 1;

        if (read_digits(value, len, k->max, &whole) < 0 ||
            (value[len] &&
             (frac_len > 9 || read_digits(value + len + 1, frac_len, UINT64_MAX / 16, &frac) < 0)))
                goto wrong;
        for (size_t i = 0; i < frac_len; i++)
                scale *= 10;
        n = (double) whole + (double) frac / scale;
        if (n < (double) k->min || n > (double) k->max)
                goto wrong;
        *slot = n;
        return 0;

wrong:
        return error_set(err, -EINVAL,
                         "is not a number from %" PRIu64 " to %" PRIu64 "; write e.g. 10 or 2.5",
                         k->min, k->max);
}

static int parse_duration(const ConfigKey *k, const char *value, uint64_t *slot, Error *err) {
        char least[32], most[48];
        uint64_t usec = 0;
        int r = timespan_parse(value, &usec);

        timespan_format(k->min, least, sizeof least);
        timespan_format(k->max, most, sizeof most);
        if (r == -EINVAL)
                return error_set(err, -EINVAL,
                                 "is not a duration; write e.g. 90s, 15min or \"1h 30min\", at "
                                 "least %s, at most %s",
                                 least, most);
        if (r < 0 || usec > k->max)
                return error_set(err, -EINVAL, "is too long; write at most %s", most);
        if (usec < k->min)
                return error_set(err, -EINVAL, "is too short; write at least %s", least);
        *slot = usec;
        return 0;
}

static int parse_share(const char *value, MaxRemovals *slot, Error *err) {
        size_t len = strlen(value);
        bool percent = len > 0 && value[len - 1] == '%';
        uint64_t n = 0;

        if (percent)
                for (len--; len > 0 && value[len - 1] == ' ';)
                        len--;
        if (read_digits(value, len, percent ? 100 : UINT32_MAX, &n) < 0)
                return error_set(err, -EINVAL,
                                 "is neither a whole number of users nor a percentage from 0%% to "
                                 "100%%; write e.g. 25 or 10%%");
        *slot = (MaxRemovals){ .percent = percent, .value = (unsigned) n };
        return 0;
}

static int parse_seq(const char *value, uint64_t *slot, Error *err) {
        if (strcmp(value, "now") == 0)
                *slot = REPLAY_FROM_NOW;
        else if (read_digits(value, strlen(value), INT64_MAX / 10, slot) < 0)
                return error_set(err, -EINVAL,
                                 "is neither the number of an event (seq) nor \"now\"");
        return 0;
}

int config_value_parse(const ConfigKey *k, const char *value, void *base, Error *err) {
        void *slot = (char *) base + k->offset;
        const ConfigWord *word = k->words;
        char *text = NULL;
        int r;

        switch (k->type) {
        case VALUE_TEXT:
                r = parse_text(k, value, strlen(value), &text, err);
                if (r < 0)
                        return r;
                wipe_free(*(char **) slot);
                *(char **) slot = text;
                return 0;
        case VALUE_LIST:
                return parse_list(k, value, slot, err);
        case VALUE_BOOL:
                return parse_bool(value, slot, err);
        case VALUE_NUMBER:
                return parse_number(k, value, slot, err);
        case VALUE_DECIMAL:
                return parse_decimal(k, value, slot, err);
        case VALUE_DURATION:
                return parse_duration(k, value, slot, err);
        case VALUE_WORD:
                r = parse_word(k, value, &word, err);
                if (r < 0)
                        return r;
                *(int *) slot = word->value;
                return 0;
        case VALUE_SEQ:
                return parse_seq(value, slot, err);
        case VALUE_SHARE:
                return parse_share(value, slot, err);
        }
        return error_set(err, -EINVAL, "has no type");
}

void config_value_clear(const ConfigKey *k, void *base) {
        void *slot = (char *) base + k->offset;

        if (k->type == VALUE_TEXT)
                wipe_free(take_ptr(*(char **) slot));
        else if (k->type == VALUE_LIST)
                list_clear(slot);
}

int config_value_default(const ConfigKey *k, void *base, Error *err) {
        config_value_clear(k, base);
        return k->dflt ? config_value_parse(k, k->dflt, base, err) : 0;
}

static bool text_equal(const char *a, const char *b) {
        return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool list_equal(const TextList *a, const TextList *b) {
        if (a->count != b->count)
                return false;
        for (size_t i = 0; i < a->count; i++)
                if (!text_equal(a->items[i], b->items[i]))
                        return false;
        return true;
}

bool config_value_equal(const ConfigKey *k, const void *a, const void *b) {
        const void *x = (const char *) a + k->offset, *y = (const char *) b + k->offset;
        const MaxRemovals *s = x, *t = y;

        switch (k->type) {
        case VALUE_TEXT:
                return text_equal(*(char *const *) x, *(char *const *) y);
        case VALUE_LIST:
                return list_equal(x, y);
        case VALUE_BOOL:
                return *(const bool *) x == *(const bool *) y;
        case VALUE_NUMBER:
                return *(const unsigned *) x == *(const unsigned *) y;
        case VALUE_DECIMAL:
                return *(const double *) x == *(const double *) y;
        case VALUE_DURATION:
        case VALUE_SEQ:
                return *(const uint64_t *) x == *(const uint64_t *) y;
        case VALUE_WORD:
                return *(const int *) x == *(const int *) y;
        case VALUE_SHARE:
                return s->percent == t->percent && s->value == t->value;
        }
        return false;
}

bool config_value_secret(const ConfigKey *k, const char *value) {
        return (k->flags & KEY_SECRET) || ((k->flags & KEY_URL) && strchr(value, '@'));
}

bool config_value_hidden(const ConfigKey *k, const char *value) {
        return (k->flags & KEY_HIDDEN) || config_value_secret(k, value);
}
