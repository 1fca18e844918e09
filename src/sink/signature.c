/* SPDX-License-Identifier: Apache-2.0 */
#include "sink/signature.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/memstream.h"

#define PREFIX "whsec_"
#define KEY_MAX 64                       /* bytes of a secret, as the configuration checks it */
#define KEY_SIZE ((KEY_MAX + 2) / 3 * 3) /* as base64 decodes it */
#define MAC_SIZE 32
#define MAC_TEXT_SIZE (4 * ((MAC_SIZE + 2) / 3) + 1)

DEFINE_CLEANUP(EVP_MAC *, EVP_MAC_free)
DEFINE_CLEANUP(EVP_MAC_CTX *, EVP_MAC_CTX_free)

/* The bytes of a secret.  EVP_DecodeBlock() counts what stands for padding as zeros. */
static int decode(const char *secret, unsigned char key[static KEY_SIZE], size_t *ret) {
        const char *text = secret + sizeof PREFIX - 1;
        size_t len, padding;
        int n;

        if (strncmp(secret, PREFIX, sizeof PREFIX - 1) != 0)
                return -EINVAL;
        len = strlen(text);
        padding = len - strcspn(text, "=");
        if (padding > 2 || len > (size_t) KEY_SIZE / 3 * 4)
                return -EINVAL;
        n = EVP_DecodeBlock(key, (const unsigned char *) text, (int) len);
        if (n <= (int) padding)
                return -EINVAL;
        *ret = (size_t) n - padding;
        return 0;
}

static int authenticate(const unsigned char *key, size_t key_len, const char *head,
                        const char *body, size_t len, unsigned char mac[static MAC_SIZE]) {
        CLEANUP(EVP_MAC_freep) EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
        CLEANUP(EVP_MAC_CTX_freep) EVP_MAC_CTX *ctx = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
        char digest[] = "SHA256";
        const OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string("digest", digest, 0),
                                      OSSL_PARAM_construct_end() };
        size_t n = 0;

        if (!ctx || !EVP_MAC_init(ctx, key, key_len, params) ||
            !EVP_MAC_update(ctx, (const unsigned char *) head, strlen(head)) ||
            !EVP_MAC_update(ctx, (const unsigned char *) body, len) ||
            !EVP_MAC_final(ctx, mac, &n, MAC_SIZE) || n != MAC_SIZE)
                return -EIO;
        return 0;
}

/* One signature: "v1," and base64. */
static int sign(const char *secret, const char *head, const char *body, size_t len, FILE *out,
                Error *err) {
        unsigned char key[KEY_SIZE], mac[MAC_SIZE], text[MAC_TEXT_SIZE];
        size_t key_len = 0;
        int r = decode(secret, key, &key_len);

        if (r < 0)
                (void) error_set(err, r, "a webhook secret cannot be read");
        else if ((r = authenticate(key, key_len, head, body, len, mac)) < 0)
                (void) error_set(err, r, "libcrypto cannot make an HMAC-SHA256");
        OPENSSL_cleanse(key, sizeof key);
        if (r < 0)
                return r;
        (void) EVP_EncodeBlock(text, mac, MAC_SIZE);
        fprintf(out, "v1,%s", (const char *) text);
        return 0;
}

int signature_make(const TextList *secrets, const char *id, int64_t timestamp, const char *body,
                   size_t len, char **ret, Error *err) {
        CLEANUP_FREE char *head = NULL, *text = NULL;
        size_t text_len = 0;
        int r = 0;
        FILE *f;

        if (asprintf(&head, "%s.%" PRId64 ".", id, timestamp) < 0) {
                head = NULL;
                return error_set(err, -ENOMEM, "out of memory");
        }
        f = memstream_open(&text, &text_len);
        if (!f)
                return error_set(err, -ENOMEM, "out of memory");
        for (size_t i = 0; i < secrets->count && r >= 0; i++) {
                if (i > 0)
                        fputc(' ', f);
                r = sign(secrets->items[i], head, body, len, f, err);
        }
        if (fclose(f) != 0 && r >= 0)
                r = error_set(err, -ENOMEM, "out of memory");
        if (r < 0)
                return r;
        *ret = take_ptr(text);
        return 0;
}
