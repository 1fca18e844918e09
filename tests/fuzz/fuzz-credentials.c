/* SPDX-License-Identifier: Apache-2.0 */
/* All that brings AWS keys: shared files, the answers of STS, of a container's agent and of the
 * instance metadata, and what a helper program prints.  Keys that are taken are whole; nothing that
 * is said holds a secret. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "answer.h"
#include "base/text.h"
#include "base/timefmt.h"
#include "fuzz.h"
#include "net/aws-internal.h"
#include "net/aws-xml.h"

/* As long as a secret access key is. */
#define CANARY "CANARYwJalrXUtnFEMIxK7MDENGbPxRfiCYzzKEY"

/* "arn:…" is shown whole: no secret is called so.  And where the canary stands in pieces, they are
 * not as long as a secret. */
static bool may_show(const char *input, size_t len) {
        CLEANUP_FREE char *rest = malloc(len + 1);
        char *at;

        demand(rest != NULL);
        for (size_t i = 0; i < len; i++)
                rest[i] = input[i] ? input[i] : ' ';
        rest[len] = '\0';
        if (strstr(rest, "arn:"))
                return true;
        while ((at = strstr(rest, CANARY)))
                (void) memset(at, '.', sizeof CANARY - 1);
        return fuzz_shows(rest, CANARY);
}

static void check_said(const char *said, const char *input, size_t len) {
        demand(fuzz_is_clean(said));
        demand(may_show(input, len) || !fuzz_shows(said, CANARY));
}

/* ---- keys ---- */

static bool is_word(const char *text) {
        size_t len = strlen(text);

        for (size_t i = 0; i < len; i++)
                if (text[i] <= ' ' || text[i] > '~')
                        return false;
        return len > 0;
}

static void check_keys(const AwsKeys *k, bool with_token) {
        demand(k->access_key_id && is_word(k->access_key_id));
        demand(k->secret_access_key && is_word(k->secret_access_key));
        demand(!k->session_token || is_word(k->session_token));
        demand(!with_token || k->expires != TIME_NONE);
}

static void check_json(const char *text, size_t len, AwsJsonShape shape) {
        CLEANUP(aws_keys_clear) AwsKeys keys = { 0 };
        Error err = { 0 };
        int r = aws_keys_parse_json(text, len, shape, &keys, &err);

        if (r == 0) {
                check_keys(&keys, shape == AWS_JSON_ENDPOINT);
                return;
        }
        demand((r == -EBADMSG || r == -EINVAL) && *err.msg);
        demand(!keys.access_key_id && !keys.secret_access_key && !keys.session_token);
        check_said(err.msg, text, len);
}

/* ---- answers ---- */

static void fetch_clear(AwsFetch *f) {
        aws_keys_clear(&f->keys);
        free(f->imds_token);
        free(f->imds_role);
}

static void check_imds(const AwsFetch *f, const AwsStep *step) {
        static const char characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                         "0123456789_+=,.@-";

        if (step == &aws_step_imds_token)
                demand(*f->imds_token && !strpbrk(f->imds_token, "\r\n"));
        else
                demand(*f->imds_role && strlen(f->imds_role) <= 64 &&
                       strspn(f->imds_role, characters) == strlen(f->imds_role));
}

static void check_step(const AwsStep *step, Input *in) {
        CLEANUP(fetch_clear) AwsFetch f = { .n_steps = 1 };
        CLEANUP(answer_clear) Answer a = { 0 };
        Error err = { 0 };
        int r;

        answer_read(in, &a);
        r = step->answer(&f, &a.res, &err);
        demand(r == AWS_DONE || r == AWS_AGAIN || r < 0);
        if (r != AWS_DONE) {
                demand(*err.msg && !f.keys.secret_access_key);
                /* STS's own words are shown, if they are shorter than a session token */
                if (!strstr(a.body, "<Code>") && !strstr(a.body, "<Message>"))
                        check_said(err.msg, a.body, a.res.body_len);
                return;
        }
        demand(a.res.failure == HTTP_ANSWERED && a.res.status == 200);
        if (step == &aws_step_imds_token || step == &aws_step_imds_role)
                check_imds(&f, step);
        else
                check_keys(&f.keys, true);
}

/* ---- XML ---- */

static int on_text(const char *path, const char *text, void *userdata) {
        unsigned *n = userdata, depth = 1;

        for (const char *p = path; *p; p++)
                depth += *p == '/';
        demand(*path && *path != '/' && depth <= 16);
        demand(text_is_utf8(text, strlen(text)));
        return ++*n < 1000 ? 0 : -ECANCELED;
}

static void check_xml(const char *text, size_t len) {
        unsigned n = 0;
        Error err = { 0 };
        int r = xml_read(text, len, on_text, &n, &err);

        if (r == 0)
                demand(n > 0);
        else
                demand(r == -ECANCELED || (r == -EBADMSG && *err.msg));
        if (r == -EBADMSG)
                check_said(err.msg, "", 0);
}

/* ---- files ---- */

/* Whether every line that holds the canary has it behind a "=" or ":", as a value: what begins a
 * section or stands before the separator is shown. */
static bool only_in_values(const char *text) {
        for (const char *at = text; (at = strstr(at, CANARY)); at++) {
                const char *line = at, *sep;

                while (line > text && line[-1] != '\n')
                        line--;
                sep = line + strcspn(line, "=:");
                if (sep > at || line[strspn(line, " \t\v\f")] == '[')
                        return false;
        }
        return true;
}

static void write_section(FILE *f, const char *name, const AwsSection *s) {
        fprintf(f, "[%s]\n", name);
        for (size_t i = 0; i < s->n; i++) {
                fprintf(f, "%s = ", s->settings[i].key);
                for (const char *p = s->settings[i].value; *p; p++)
                        if (*p == '\n' && p[1] && p[1] != '\n')
                                fprintf(f, "\n\t");
                        else
                                (void) fputc(*p, f);
                (void) fputc('\n', f);
        }
}

static char *write_file(const AwsFile *file, size_t *len) {
        char *text = NULL;
        FILE *f = open_memstream(&text, len);

        demand(f != NULL);
        for (size_t i = 0; i < file->n; i++)
                write_section(f, file->sections[i].name, &file->sections[i]);
        if (file->defaults.n > 0)
                write_section(f, "DEFAULT", &file->defaults);
        demand(fclose(f) == 0);
        return text;
}

static bool section_equal(const AwsSection *a, const AwsSection *b) {
        if (a->n != b->n)
                return false;
        for (size_t i = 0; i < a->n; i++)
                if (strcmp(a->settings[i].key, b->settings[i].key) != 0 ||
                    strcmp(a->settings[i].value, b->settings[i].value) != 0)
                        return false;
        return true;
}

/* What was read, written out, reads the same. */
static void check_round_trip(const AwsFile *file) {
        CLEANUP(aws_file_clear) AwsFile again = { 0 };
        CLEANUP_FREE char *text = NULL;
        Error err = { 0 };
        size_t len = 0;

        text = write_file(file, &len);
        demand(aws_file_parse(text, len, &again, &err) == 0);
        demand(again.n == file->n && section_equal(&again.defaults, &file->defaults));
        for (size_t i = 0; i < file->n; i++)
                demand(strcmp(again.sections[i].name, file->sections[i].name) == 0 &&
                       section_equal(&again.sections[i], &file->sections[i]));
}

/* One that ends no line may end a value, and would end a line once it is written. */
static bool has_stray_return(const char *text) {
        for (; (text = strchr(text, '\r')); text++)
                if (text[1] != '\n')
                        return true;
        return false;
}

static void check_profiles(AwsFile *file) {
        Error err = { 0 };
        size_t n = file->n;

        demand(aws_file_keep_profiles(file, &err) == 0 && file->n <= n);
        for (size_t i = 0; i < file->n; i++) {
                const char *name = file->sections[i].name;

                demand(aws_file_has(file, name));
                (void) aws_file_get(file, name, "aws_access_key_id");
                demand(aws_file_get(file, name, " no such key") == NULL);
        }
}

static void check_file(const char *text, size_t len) {
        CLEANUP(aws_file_clear) AwsFile file = { 0 };
        CLEANUP_FREE char *copy = malloc(len + 1);
        Error err = { 0 };
        int r;

        demand(copy != NULL);
        memcpy(copy, text, len + 1);
        r = aws_file_parse(copy, len, &file, &err);
        if (r < 0) {
                demand(r == -EINVAL && *err.msg);
                if (only_in_values(text))
                        check_said(err.msg, text, len);
                return;
        }
        if (!has_stray_return(text))
                check_round_trip(&file);
        check_profiles(&file);
}

/* ---- what others say, and where to ask ---- */

static void check_mask(const char *text, size_t len) {
        char out[512];

        (void) aws_mask(out, sizeof out, text, len, AWS_WORD_SHOWN);
        check_said(out, text, len);
        (void) aws_mask(out, 16, text, len, AWS_WORD_SHOWN);
        demand(strlen(out) < 16);
}

static void check_url(const char *text) {
        AwsUrl url = { 0 };

        if (aws_url_parse(text, &url) < 0)
                return;
        demand(*url.host && !strpbrk(url.host, " \t\r\n@/?#[]")); /* curl decodes %84 */
        if (!url.https && !url.loopback)
                demand(!aws_container_may_ask(&url) ||
                       strncmp(url.host, "169.254.170.2", 13) == 0 ||
                       strcmp(url.host, "fd00:ec2::23") == 0);
}

/* The first byte: which of them. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const AwsStep *const steps[] = { &aws_step_role,      &aws_step_web_identity,
                                                &aws_step_container, &aws_step_imds_token,
                                                &aws_step_imds_role, &aws_step_imds_keys };
        Input in = input_of(data, size);
        unsigned which = input_byte(&in) - '0';
        CLEANUP_FREE char *text = NULL;
        size_t len = 0;

        if (which < sizeof steps / sizeof steps[0]) {
                check_step(steps[which], &in);
                return 0;
        }
        text = input_rest(&in, &len);
        switch (which) {
        case 6:
                check_json(text, len, AWS_JSON_ENDPOINT);
                check_json(text, len, AWS_JSON_PROCESS);
                break;
        case 7:
                check_xml(text, len);
                break;
        case 8:
                check_file(text, len);
                break;
        case 9:
                check_mask(text, len);
                check_url(text);
                break;
        default:
                break;
        }
        return 0;
}
