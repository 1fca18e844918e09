/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/ctl.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "config.h"

#ifndef SYSCONFDIR
#define SYSCONFDIR "/etc"
#endif
#ifndef LOCALSTATEDIR
#define LOCALSTATEDIR "/var"
#endif
#define CONFIG_DEFAULT SYSCONFDIR "/rosterd/rosterd.conf"
#define DATABASE_DEFAULT LOCALSTATEDIR "/lib/rosterd/roster.db"

const char *const format_names[FORMAT_COUNT] = {
        [FORMAT_DEFAULT] = "",  [FORMAT_TABLE] = "table",   [FORMAT_CSV] = "csv",
        [FORMAT_JSON] = "json", [FORMAT_NDJSON] = "ndjson",
};

void ctl_init(Ctl *c) {
        *c = (Ctl){ 0 };
        out_init(&c->out);
}

void ctl_clear(Ctl *c) {
        store_close(c->store);
        config_unref(c->config);
        out_clear(&c->out);
        for (size_t i = 0; i < c->n_kept; i++)
                free(c->kept[i]);
        *c = (Ctl){ 0 };
}

int ctl_config(Ctl *c, const Config **ret, Error *err) {
        const char *path = c->config_path ? c->config_path : CONFIG_DEFAULT;
        Error why = { 0 };
        int r;

        if (!c->config) {
                r = config_load_outline(path, &c->config, &why);
                if (r < 0 && !c->config_path && (r == -ENOENT || r == -EACCES)) {
                        *ret = NULL;
                        return 0;
                }
                if (r == -EINVAL)
                        return error_set(err, -EBADMSG,
                                         "%s; see 'rosterd --config FILE --check-config', or name"
                                         " the database with --database",
                                         why.msg);
                if (r == -EACCES)
                        return error_set(err, r,
                                         "the configuration %s cannot be read: permission denied;"
                                         " join its group (usermod -aG rosterd YOU, then log in"
                                         " again), or name the database with --database",
                                         path);
                if (r == -ENOENT)
                        return error_set(err, -EBADMSG,
                                         "the configuration %s does not exist; name another with"
                                         " --config",
                                         path);
                if (r < 0)
                        return error_set(err, r, "%s", why.msg);
        }
        *ret = c->config;
        return 0;
}

int ctl_database(Ctl *c, const char **ret, Error *err) {
        const Config *config = NULL;
        int r;

        if (c->database_path) {
                *ret = c->database_path;
                return 0;
        }
        r = ctl_config(c, &config, err);
        if (r >= 0)
                *ret = config ? config->database : DATABASE_DEFAULT;
        return r;
}

const char *ctl_control_socket(Ctl *c) {
        const Config *config = NULL;

        return ctl_config(c, &config, NULL) >= 0 && config ? config->control_socket
                                                           : CONFIG_CONTROL_SOCKET;
}

int ctl_store(Ctl *c, Store **ret, Error *err) {
        const char *path = NULL;
        int r = 0;

        if (!c->store) {
                r = ctl_database(c, &path, err);
                if (r >= 0)
                        r = store_open_reader(path, &c->store, err);
        }
        if (r >= 0)
                *ret = c->store;
        return r;
}

void ctl_close_store(Ctl *c) {
        store_close(take_ptr(c->store));
}

char *ctl_keep(Ctl *c, const char *text) {
        char *copy = strdup(text);

        assert(c->n_kept < sizeof c->kept / sizeof c->kept[0]);
        if (copy)
                c->kept[c->n_kept++] = copy;
        return copy;
}

bool ctl_local_times(const Ctl *c) {
        return c->out.terminal && !c->utc;
}

/* As sysexits.h names them, and as rosterd itself ends. */
int ctl_exit_status(int code) {
        switch (-code) {
        case ESRCH:
                return EXIT_ABSENT;
        case EINVAL:
                return EXIT_WRONG;
        case EUCLEAN:
        case EMEDIUMTYPE:
        case EPROTONOSUPPORT:
        case ERANGE:
                return 65;
        case ENOENT:
        case ENOLINK:
                return 66;
        case ECONNREFUSED:
                return 69;
        case ENOSPC:
        case EROFS:
        case EEXIST:
        case EISDIR:
        case ENOTDIR:
                return 73;
        case EBUSY:
        case ETIME:
                return 75;
        case EACCES:
        case EPERM:
                return 77;
        case EBADMSG:
                return 78;
        default:
                return 74;
        }
}
