/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/mark-key.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rand.h"

#define HASH_SIZE sizeof(((RecordMark *) NULL)->hash)

/* XXH3 is no cipher: so that nothing can be learnt of its key from what it makes of records that are known,
 * each hash is kept as one block of AES. */
_Static_assert(HASH_SIZE == 16, "a hash is a block");

struct MarkKey {
        MarkSecret secret;
        EVP_CIPHER_CTX *encipher, *decipher;
};

typedef struct KeyFile {
        unsigned char marks[MARK_KEY_SIZE], cipher[32];
} KeyFile;

void mark_key_free(MarkKey *k) {
        if (!k)
                return;
        EVP_CIPHER_CTX_free(k->encipher);
        EVP_CIPHER_CTX_free(k->decipher);
        explicit_bzero(k, sizeof *k);
        free(k);
}

static bool read_file(const char *path, KeyFile *ret) {
        CLEANUP_FREE char *data = NULL;
        size_t len = 0;
        bool good = file_read(path, sizeof *ret, &data, &len, NULL) >= 0 && len == sizeof *ret;

        if (good)
                memcpy(ret, data, sizeof *ret);
        if (data)
                explicit_bzero(data, len);
        return good;
}

/* One that is cut short, as by a power cut, is made anew at the next start. */
static int make_file(const char *path, KeyFile *ret, Error *err) {
        ssize_t n = -1;
        int fd, e;

        random_fill(ret, sizeof *ret);
        (void) unlink(path);
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd >= 0)
                n = write(fd, ret, sizeof *ret);
        e = n < 0 ? errno : n < (ssize_t) sizeof *ret ? ENOSPC : 0;
        if (fd >= 0)
                (void) close(fd);
        return e ? error_set(err, -e, "cannot write %s: %s", path, strerror(e)) : 0;
}

static EVP_CIPHER_CTX *make_cipher(const unsigned char *key, bool encipher) {
        EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();

        if (c && EVP_CipherInit_ex(c, EVP_aes_256_ecb(), NULL, key, NULL, encipher) == 1 &&
            EVP_CIPHER_CTX_set_padding(c, 0) == 1)
                return c;
        EVP_CIPHER_CTX_free(c);
        return NULL;
}

static int convert(void *userdata, bool encipher, MarkedRow *rows, size_t n, Error *err) {
        const MarkKey *k = userdata;
        unsigned char hashes[STORE_SEGMENT * HASH_SIZE];
        int len = 0;

        assert(n <= STORE_SEGMENT);
        for (size_t i = 0; i < n; i++)
                memcpy(hashes + i * HASH_SIZE, rows[i].mark.hash, HASH_SIZE);
        if (EVP_CipherUpdate(encipher ? k->encipher : k->decipher, hashes, &len, hashes,
                             (int) (n * HASH_SIZE)) != 1)
                return error_set(err, -ENOMEM, "out of memory");
        for (size_t i = 0; i < n; i++)
                memcpy(rows[i].mark.hash, hashes + i * HASH_SIZE, HASH_SIZE);
        return 0;
}

int mark_key_open(const char *database, Store *store, MarkKey **ret, Error *err) {
        CLEANUP(mark_key_freep) MarkKey *k = calloc(1, sizeof *k);
        size_t size = strlen(database) + sizeof ".key";
        CLEANUP_FREE char *path = malloc(size);
        KeyFile file;

        if (!k || !path)
                return error_set(err, -ENOMEM, "out of memory");
        (void) snprintf(path, size, "%s.key", database);
        if (!read_file(path, &file)) {
                int r = make_file(path, &file, err);

                if (r < 0)
                        return r;
        }
        k->secret = (MarkSecret){ .convert = convert, .userdata = k };
        memcpy(k->secret.key, file.marks, sizeof k->secret.key);
        k->encipher = make_cipher(file.cipher, true);
        k->decipher = make_cipher(file.cipher, false);
        explicit_bzero(&file, sizeof file);
        if (!k->encipher || !k->decipher)
                return error_set(err, -ENOMEM, "out of memory");
        store_marks_protect(store, &k->secret);
        *ret = take_ptr(k);
        return 0;
}
