/* SPDX-License-Identifier: Apache-2.0 */
/* Makes up users: the same ones for the same account, seed and number, on every run. */
#include "roster.h"

#include <stdio.h>
#include <string.h>

/* The JSON text of a name as a service might write it, and what of it goes into an address. */
typedef struct Name {
        const char *json, *ascii;
} Name;

static const Name first_names[] = {
        { "Ana", "ana" },
        { "Jos\xc3\xa9", "jose" },
        { "Zo\\u00eb", "zoe" },
        { "\xc3\x85sa", "asa" },
        { "\xe6\x98\x8e", "ming" },
        { "\xd9\x85\xd8\xad\xd9\x85\xd8\xaf", "mohamed" },
        { "\xd7\xa0\xd7\x95\xd7\xa2\xd7\x94", "noa" },
        { "Robert \\\"Bob\\\"", "bob" },
        { "\xe3\x81\x95\xe3\x81\x8f\xe3\x82\x89", "sakura" },
        { "Fran\xc3\xa7ois", "francois" },
        { "\xd0\x98\xd0\xb3\xd0\xbe\xd1\x80\xd1\x8c", "igor" },
        { "Mary-Jane", "mary-jane" },
        { "\xf0\x9f\x98\x80 Joy", "joy" },
        { "Li \\ud83d\\ude80", "li" },
        { "Ng\xe1\xbb\x8d"
          "c",
          "ngoc" },
        { "Chlo\xc3\xa9", "chloe" },
        { "William", "william" },
        { "Priya", "priya" },
        { "Bj\xc3\xb6rn", "bjorn" },
        { "Olga", "olga" },
        { "e\xcc\x81lodie", "elodie" },
        { "Sean", "sean" },
        { "Ay\xc5\x9f"
          "e",
          "ayse" },
        { "Maria\\tLuisa", "maria+luisa" },
};

static const Name last_names[] = {
        { "Silva", "silva" },
        { "O'Brien", "o'brien" },
        { "M\xc3\xbcller", "mueller" },
        { "Sm\\\\ith", "smith" },
        { "\xe7\x8e\x8b", "wang" },
        { "\xd8\xa7\xd9\x84\xd8\xad\xd8\xb3\xd9\x86", "alhassan" },
        { "Gonz\xc3\xa1lez y L\xc3\xb3pez", "gonzalez.y.lopez" },
        { "de la \\/ Cruz", "cruz" },
        { "Nov\xc3\xa1k", "novak" },
        { "\xe7\x94\xb0\xe4\xb8\xad", "tanaka" },
        { "Johnson", "johnson" },
        { "\xd0\x98\xd0\xb2\xd0\xb0\xd0\xbd\xd0\xbe\xd0\xb2", "ivanov" },
        { "Nguy\xe1\xbb\x85n", "nguyen" },
        { "St\\u00f8re", "store" },
        { "Kumar <&>", "kumar" },
        { "\xd7\x9b\xd7\x94\xd7\x9f", "cohen" },
        { "Baker, Jr.", "baker" },
        { "\xf0\xa0\xae\xb7\xe9\x87\x8e", "yoshino" },
        { "Rossi", "rossi" },
        { "Dubois", "dubois" },
        { "Kowalski", "kowalski" },
        { "D'Souza; DROP TABLE", "dsouza" },
        { "100%", "percent" },
};

static const char *const domains[] = {
        "example.com",    "corp.example.net",       "mail.example.org",
        "eu.example.com", "xn--mnchen-3ya.example", "a-rather-long-department-name.example.com",
};

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define PICK(array, random) ((array)[(random) % COUNT(array)])

typedef struct Dice {
        uint64_t state;
} Dice;

static uint64_t roll(Dice *d) {
        return d->state = mix64(d->state);
}

static bool chance(Dice *d, unsigned percent) {
        return roll(d) % 100 < percent;
}

static void add_member(Buf *b, const char *name, const char *value) {
        buf_puts(b, ",\"");
        buf_puts(b, name);
        buf_puts(b, "\":\"");
        buf_puts(b, value);
        buf_putc(b, '"');
}

static void add_time(Buf *b, Dice *d, uint64_t number, const char *name) {
        static const char *const endings[] = {
                "Z",      ".123Z",  ".5Z",        ".123456Z",    "+00:00",
                "+02:00", "-07:00", ".250-03:30", ".987654321Z",
        };
        uint64_t r = roll(d);
        char text[64];

        if (number % 89 == 5) {
                buf_printf(b, ",\"%s\":%u%s", name, 1500000000u + (unsigned) (r % 200000000u),
                           number % 2 ? ".25" : "");
                return;
        }
        (void) snprintf(text, sizeof text, "20%02u-%02u-%02uT%02u:%02u:%02u%s",
                        15 + (unsigned) (r % 10), 1 + (unsigned) (r >> 8) % 12,
                        1 + (unsigned) (r >> 16) % 28, (unsigned) (r >> 24) % 24,
                        (unsigned) (r >> 32) % 60, (unsigned) (r >> 40) % 60,
                        chance(d, 80) ? ".000Z" : PICK(endings, r >> 48));
        add_member(b, name, text);
}

static void add_statuses(Buf *b, Dice *d, uint64_t number) {
        unsigned r = (unsigned) (roll(d) % 100);
        const char *registration = r < 70 ? "Registered" : r < 94 ? "Unregistered" : "Suspended";

        if (number % 97 == 13)
                registration = "Released";
        if (number % 61 != 60)
                add_member(b, "UserRegistrationStatus", registration);
        r = (unsigned) (roll(d) % 100);
        if (r < 92)
                add_member(b, "UserInvitationStatus",
                           r < 60   ? "Accepted"
                           : r < 85 ? "Pending"
                                    : "Failed");
        if (strcmp(registration, "Unregistered") != 0)
                add_time(b, d, number, "RegisteredOn");
        if (r < 90)
                add_time(b, d, number + 1, "InvitedOn");
}

static void add_rest(Buf *b, Dice *d, uint64_t number) {
        uint64_t r = roll(d);

        if (chance(d, 55)) {
                buf_puts(b, ",\"AlexaForBusinessMetadata\":{");
                if (r % 8 != 0)
                        buf_printf(b, "\"IsAlexaForBusinessEnabled\":%s", r % 3 ? "true" : "false");
                if (r % 5 > 1)
                        buf_printf(b,
                                   "%s\"AlexaForBusinessRoomArn\":\"arn:aws:a4b:us-east-1:%012u:"
                                   "room/%08x\"",
                                   r % 8 ? "," : "", (unsigned) (r >> 20) % 1000000000u,
                                   (unsigned) (r >> 32));
                buf_putc(b, '}');
        }
        if (chance(d, 85))
                buf_printf(b, ",\"PersonalPIN\":\"%010u\"", (unsigned) (r >> 30));
        if (number % 101 == 7)
                buf_printf(b, ",\"x-FutureMember\":{\"Level\":%u,\"Tags\":[\"a\",null,1.50]}",
                           (unsigned) (r % 9));
}

static void add_names(Buf *b, Dice *d, uint64_t number, GeneratedUser *ret) {
        uint64_t r = roll(d);
        const Name *first = &PICK(first_names, r), *last = &PICK(last_names, r >> 16);

        (void) snprintf(ret->email, sizeof ret->email, "%s.%s%llu@%s", first->ascii, last->ascii,
                        (unsigned long long) number, PICK(domains, r >> 32));
        if (number % 53 == 52)
                ret->email[0] = '\0';
        else
                add_member(b, "PrimaryEmail", ret->email);
        if (chance(d, 75))
                buf_printf(b, ",\"PrimaryProvisionedNumber\":\"+1206%07u\"",
                           (unsigned) (r >> 40) % 10000000u);
        if (number % 47 != 46)
                buf_printf(b, ",\"DisplayName\":\"%s %s\"", first->json, last->json);
}

void generate_user(const char *account_id, uint64_t seed, uint64_t number, GeneratedUser *ret,
                   Buf *json) {
        static const char *const licenses[] = { "Basic", "Plus", "Pro", "Pro", "Pro", "ProTrial" };
        Dice d = { mix64(seed ^ hash_bytes(account_id, strlen(account_id))) + number };
        uint64_t a = roll(&d), b = roll(&d);

        (void) snprintf(ret->id, sizeof ret->id, "%08x-%04x-4%03x-a%03x-%012llx",
                        (unsigned) (a >> 32), (unsigned) (a >> 16) & 0xffff, (unsigned) a & 0xfff,
                        (unsigned) (b >> 52), (unsigned long long) (b & UINT64_C(0xffffffffffff)));
        ret->kind = chance(&d, 8) ? USER_KIND_SHARED : USER_KIND_PRIVATE;

        buf_puts(json, "{\"UserId\":\"");
        buf_puts(json, ret->id);
        buf_putc(json, '"');
        add_member(json, "AccountId", account_id);
        add_names(json, &d, number, ret);
        if (number % 43 != 42)
                add_member(json, "LicenseType", PICK(licenses, b));
        add_member(json, "UserType",
                   ret->kind == USER_KIND_SHARED ? "SharedDevice" : "PrivateUser");
        add_statuses(json, &d, number);
        add_rest(json, &d, number);
        buf_putc(json, '}');
}
