/* SPDX-License-Identifier: Apache-2.0 */
/* The little of XML 1.0 (W3C, fifth edition) that the answers of STS take. */
#include "net/aws-xml.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "base/text.h"

#define DEPTH_MAX 16
#define PATH_SIZE 512
#define SPACE " \t\r\n"
#define NAME_FIRST "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
#define NAME_REST NAME_FIRST "0123456789.-:"

typedef struct Xml {
        const char *at; /* the document ends with a NUL, and holds no other */
        char path[PATH_SIZE];
        size_t path_len;
        unsigned depth;
        char *text; /* of the innermost element so far; as large as the document */
        size_t text_len;
        bool leaf; /* the innermost element has no child yet */
        XmlText on_text;
        void *userdata;
        Error *err;
} Xml;

static int broken(const Xml *x, const char *what) {
        return error_set(x->err, -EBADMSG, "%s", what);
}

static void skip_space(Xml *x) {
        x->at += strspn(x->at, SPACE);
}

static bool skip_if(Xml *x, const char *word) {
        size_t len = strlen(word);

        if (strncmp(x->at, word, len) != 0)
                return false;
        x->at += len;
        return true;
}

static size_t name_length(const Xml *x) {
        return *x->at && strchr(NAME_FIRST, *x->at) ? strspn(x->at, NAME_REST) : 0;
}

/* "<!--" has been read. */
static int skip_comment(Xml *x) {
        const char *end = strstr(x->at, "--");

        if (!end || end[2] != '>')
                return broken(x, "a comment does not end");
        x->at = end + 3;
        return 0;
}

/* ---- text ---- */

/* "&#" has been read.  A reference is never shorter than what it stands for in UTF-8. */
static int read_character(Xml *x) {
        bool hex = skip_if(x, "x");
        const char *digits = hex ? "0123456789abcdef" : "0123456789", *digit;
        const char *begin = x->at;
        uint32_t c = 0;

        for (; *x->at && *x->at != ';'; x->at++) {
                char lower = *x->at >= 'A' && *x->at <= 'F' ? (char) (*x->at + 32) : *x->at;

                digit = strchr(digits, lower);
                if (!digit || c > 0x10ffff)
                        return broken(x, "a character reference is no number");
                c = c * (hex ? 16 : 10) + (uint32_t) (digit - digits);
        }
        if (x->at == begin || *x->at++ != ';')
                return broken(x, "a character reference does not end");
        if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
                return broken(x, "a character reference is no character");
        x->text_len += text_put_utf8(x->text + x->text_len, c);
        return 0;
}

/* "&" has been read. */
static int read_reference(Xml *x) {
        static const char *const names[] = { "amp;", "lt;", "gt;", "quot;", "apos;" };
        static const char values[] = "&<>\"'";

        if (skip_if(x, "#"))
                return read_character(x);
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
                if (skip_if(x, names[i])) {
                        x->text[x->text_len++] = values[i];
                        return 0;
                }
        return broken(x, "an entity is not known");
}

/* Text up to stop, which is left unread. */
static int read_text(Xml *x, char stop) {
        int r = 0;

        while (r == 0 && *x->at && *x->at != stop) {
                if (*x->at == '<')
                        return broken(x, "an attribute holds a \"<\"");
                if (skip_if(x, "&"))
                        r = read_reference(x);
                else
                        x->text[x->text_len++] = *x->at++;
        }
        return r;
}

/* ---- elements ---- */

static int read_attributes(Xml *x) {
        while (*x->at && strchr(SPACE, *x->at)) {
                size_t len, text_len = x->text_len;
                char quote;
                int r;

                skip_space(x);
                len = name_length(x);
                if (len == 0)
                        return 0;
                x->at += len;
                skip_space(x);
                if (!skip_if(x, "="))
                        return broken(x, "an attribute has no value");
                skip_space(x);
                quote = *x->at;
                if (quote != '"' && quote != '\'')
                        return broken(x, "an attribute is not quoted");
                x->at++;
                r = read_text(x, quote);
                if (r < 0)
                        return r;
                x->text_len = text_len; /* it does not matter to us */
                if (*x->at++ != quote)
                        return broken(x, "an attribute does not end");
        }
        return 0;
}

/* The innermost element is over. */
static int leave(Xml *x) {
        char *slash;
        int r = 0;

        x->text[x->text_len] = '\0';
        if (x->leaf)
                r = x->on_text(x->path, x->text, x->userdata);
        slash = strrchr(x->path, '/');
        x->path_len = slash ? (size_t) (slash - x->path) : 0;
        x->path[x->path_len] = '\0';
        x->depth--;
        x->leaf = false;
        x->text_len = 0;
        return r;
}

/* "<" has been read. */
static int enter(Xml *x) {
        size_t len = name_length(x);
        int r;

        if (len == 0)
                return broken(x, "an element has no name");
        if (x->depth >= DEPTH_MAX || x->path_len + len + 2 > PATH_SIZE)
                return broken(x, "elements are nested too deep");
        if (x->depth++ > 0)
                x->path[x->path_len++] = '/';
        memcpy(x->path + x->path_len, x->at, len);
        x->path_len += len;
        x->path[x->path_len] = '\0';
        x->at += len;
        x->leaf = true;
        x->text_len = 0;
        r = read_attributes(x);
        if (r < 0)
                return r;
        if (skip_if(x, "/>"))
                return leave(x);
        return skip_if(x, ">") ? 0 : broken(x, "a tag does not end");
}

/* "</" has been read. */
static int close_tag(Xml *x) {
        const char *slash = strrchr(x->path, '/'), *name = slash ? slash + 1 : x->path;

        if (!skip_if(x, name) || name_length(x) > 0 || (*x->at && strchr(NAME_REST, *x->at)))
                return broken(x, "an element is closed by another one's tag");
        skip_space(x);
        return skip_if(x, ">") ? leave(x) : broken(x, "a tag does not end");
}

static int read_content(Xml *x) {
        int r = 0;

        while (r == 0 && x->depth > 0) {
                if (!*x->at)
                        return broken(x, "it is cut");
                if (skip_if(x, "<!--"))
                        r = skip_comment(x);
                else if (skip_if(x, "</"))
                        r = close_tag(x);
                else if (skip_if(x, "<"))
                        r = enter(x);
                else
                        r = read_text(x, '<');
        }
        return r;
}

/* Comments and space, before and behind the root. */
static int skip_misc(Xml *x) {
        int r = 0;

        skip_space(x);
        while (r == 0 && skip_if(x, "<!--")) {
                r = skip_comment(x);
                skip_space(x);
        }
        return r;
}

static int read_document(Xml *x) {
        const char *end;
        int r;

        (void) skip_if(x, "\xef\xbb\xbf");
        if (skip_if(x, "<?xml ")) {
                end = strstr(x->at, "?>");
                if (!end)
                        return broken(x, "its declaration does not end");
                x->at = end + 2;
        }
        r = skip_misc(x);
        if (r == 0)
                r = skip_if(x, "<") ? enter(x) : broken(x, "it does not begin with an element");
        if (r == 0)
                r = read_content(x);
        if (r == 0)
                r = skip_misc(x);
        return r == 0 && *x->at ? broken(x, "something follows its end") : r;
}

int xml_read(const char *text, size_t len, XmlText on_text, void *userdata, Error *err) {
        Xml x = { .at = text, .on_text = on_text, .userdata = userdata, .err = err };
        int r;

        if (!text_is_utf8(text, len))
                return error_set(err, -EBADMSG, "it is not UTF-8");
        x.text = calloc(1, len + 8);
        if (!x.text)
                return error_set(err, -ENOMEM, "out of memory");
        r = read_document(&x);
        explicit_bzero(x.text, len + 8);
        free(x.text);
        return r;
}
