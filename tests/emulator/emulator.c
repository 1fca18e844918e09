/* SPDX-License-Identifier: Apache-2.0 */
#include "emulator.h"

#include "faults.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t now_ns(void) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * NSEC_PER_SEC + (uint64_t) ts.tv_nsec;
}

Account *emulator_account(const Emulator *e, const char *id) {
        for (size_t i = 0; i < e->n_accounts; i++)
                if (strcmp(e->accounts[i]->id, id) == 0)
                        return e->accounts[i];
        return NULL;
}

Account *emulator_add_account(Emulator *e, const char *id, uint64_t seed) {
        (void) emulator_drop_account(e, id);
        e->accounts = xrealloc(e->accounts, (e->n_accounts + 1) * sizeof *e->accounts);
        return e->accounts[e->n_accounts++] = account_new(id, seed);
}

bool emulator_drop_account(Emulator *e, const char *id) {
        for (size_t i = 0; i < e->n_accounts; i++) {
                if (strcmp(e->accounts[i]->id, id) != 0)
                        continue;
                account_free(e->accounts[i]);
                e->n_accounts--;
                memmove(e->accounts + i, e->accounts + i + 1,
                        (e->n_accounts - i) * sizeof *e->accounts);
                return true;
        }
        return false;
}

static void credential_free(Credential *c) {
        free(c->access_key);
        free(c->secret_key);
        free(c->session_token);
        free(c->old_token);
}

bool emulator_set_credential(Emulator *e, const char *access_key, const char *secret_key,
                             const char *session_token) {
        Credential fresh = {
                .access_key = xstrdup(access_key),
                .secret_key = xstrdup(secret_key),
                .session_token = xstrdup(session_token),
        };
        Credential *c = e->config.credentials;
        size_t i = 0;

        while (i < e->config.n_credentials && strcmp(c[i].access_key, access_key) != 0)
                i++;
        if (i == MAX_CREDENTIALS) {
                credential_free(&fresh);
                return false;
        }
        if (i == e->config.n_credentials) {
                fresh.old_token = xstrdup("");
                e->config.n_credentials++;
        } else {
                bool same = strcmp(c[i].session_token, session_token) == 0;

                fresh.old_token = xstrdup(same ? c[i].old_token : c[i].session_token);
                credential_free(&c[i]);
        }
        c[i] = fresh;
        return true;
}

void emulator_drop_credentials(Emulator *e) {
        for (size_t i = 0; i < e->config.n_credentials; i++)
                credential_free(&e->config.credentials[i]);
        e->config.n_credentials = 0;
}

void emulator_free(Emulator *e) {
        while (e->n_accounts > 0)
                (void) emulator_drop_account(e, e->accounts[0]->id);
        free(e->accounts);
        faults_clear(e);
        log_clear(e);
        free(e->log);
        emulator_drop_credentials(e);
        (void) pthread_mutex_destroy(&e->lock);
}
