/* SPDX-License-Identifier: Apache-2.0 */
/* NextTokens: awkward to carry, meaningless to look at, bound to account, filter and listing. */
#include "listing.h"

#include <string.h>

#define PAYLOAD 29
#define MAC 8
#define PREFIX "AQ+c/h=i~m e:"
#define SUFFIX "~ :+/="

static void put_number(unsigned char *at, uint64_t v, size_t n) {
        for (size_t i = 0; i < n; i++)
                at[i] = (unsigned char) (v >> (8 * i) & 0xff);
}

static uint64_t get_number(const unsigned char *at, size_t n) {
        uint64_t v = 0;

        for (size_t i = 0; i < n; i++)
                v |= (uint64_t) at[i] << (8 * i);
        return v;
}

static uint64_t filter_hash(const Query *q) {
        return (q->email ? hash_bytes(q->email, strlen(q->email)) : 0) + (uint64_t) q->kind;
}

static void seal(const Emulator *e, const Account *a, const unsigned char *payload,
                 unsigned char mac[32]) {
        Buf text = { 0 };

        buf_add(&text, payload, PAYLOAD);
        buf_puts(&text, a->id);
        hmac_sha256(&e->token_secret, sizeof e->token_secret, text.data, text.len, mac);
        buf_free(&text);
}

/* The payload is hidden under a stream that depends on its seal. */
static void veil(const Emulator *e, const unsigned char *mac, unsigned char *payload) {
        unsigned char stream[32];

        hmac_sha256(&e->token_secret, sizeof e->token_secret, mac, MAC, stream);
        for (size_t i = 0; i < PAYLOAD; i++)
                payload[i] ^= stream[i];
}

void position_to_token(const Emulator *e, const Account *a, const Query *q, const Position *p,
                       Buf *out) {
        unsigned char data[MAC + PAYLOAD], mac[32], *payload = data + MAC;

        payload[0] = p->tag;
        put_number(payload + 1, p->run, 8);
        put_number(payload + 9, p->key, 8);
        put_number(payload + 17, p->page, 4);
        put_number(payload + 21, filter_hash(q), 8);
        seal(e, a, payload, mac);
        memcpy(data, mac, MAC);
        veil(e, mac, payload);
        buf_puts(out, PREFIX);
        buf_add_base64(out, data, sizeof data);
        buf_puts(out, SUFFIX);
}

static bool unwrap(const char *token, Buf *out) {
        size_t n = strlen(token), head = strlen(PREFIX), tail = strlen(SUFFIX);

        return n > head + tail && strncmp(token, PREFIX, head) == 0 &&
               strcmp(token + n - tail, SUFFIX) == 0 &&
               base64_decode(token + head, n - head - tail, out) && out->len == MAC + PAYLOAD;
}

bool position_from_token(const Emulator *e, const Account *a, const Query *q, Position *ret) {
        unsigned char *data, *payload, mac[32];
        Buf raw = { 0 };
        bool ok;

        if (!q->token) {
                *ret = (Position){ .page = 1 };
                return true;
        }
        ok = unwrap(q->token, &raw);
        if (ok) {
                data = (unsigned char *) raw.data;
                payload = data + MAC;
                veil(e, data, payload);
                seal(e, a, payload, mac);
                ok = memcmp(mac, data, MAC) == 0 && get_number(payload + 21, 8) == filter_hash(q);
                *ret = (Position){
                        .tag = payload[0],
                        .run = get_number(payload + 1, 8),
                        .key = get_number(payload + 9, 8),
                        .page = (uint32_t) get_number(payload + 17, 4),
                        .given = true,
                };
        }
        buf_free(&raw);
        return ok;
}
