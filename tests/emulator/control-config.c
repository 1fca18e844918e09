/* SPDX-License-Identifier: Apache-2.0 */
#include "control.h"

#include <string.h>

static const char *const end_tokens[] = {
        [END_TOKEN_ABSENT] = "absent",
        [END_TOKEN_NULL] = "null",
        [END_TOKEN_EMPTY] = "empty",
};

static const char *const error_styles[] = {
        [ERROR_STYLE_HEADER] = "header", [ERROR_STYLE_SUFFIX] = "suffix",
        [ERROR_STYLE_PREFIX] = "prefix", [ERROR_STYLE_TYPE] = "type",
        [ERROR_STYLE_CODE] = "code",
};

static json_object *describe_config(const Config *c) {
        json_object *o = json_object_new_object(), *keys = json_object_new_array();

        for (size_t i = 0; i < c->n_credentials; i++) {
                const Credential *k = &c->credentials[i];
                json_object *item = json_object_new_object();

                json_object_object_add(item, "access_key", json_object_new_string(k->access_key));
                json_object_object_add(item, "session_token",
                                       json_object_new_string(k->session_token));
                json_object_array_add(keys, item);
        }
        json_object_object_add(o, "credentials", keys);
        json_object_object_add(o, "rate", json_object_new_double(c->rate));
        json_object_object_add(o, "gzip", json_object_new_boolean(c->gzip));
        json_object_object_add(o, "log", json_object_new_boolean(c->log));
        json_object_object_add(o, "end_token", json_object_new_string(end_tokens[c->end_token]));
        json_object_object_add(o, "error_style",
                               json_object_new_string(error_styles[c->error_style]));
        json_object_object_add(o, "log_bodies", json_object_new_boolean(c->log_bodies));
        json_object_object_add(o, "lower_message", json_object_new_boolean(c->lower_message));
        json_object_object_add(o, "clock_offset", json_object_new_int64(c->clock_offset_s));
        json_object_object_add(o, "latency_ms", json_object_new_int64(c->latency_ms));
        return o;
}

static bool choose(json_object *v, const char *const *names, unsigned n, unsigned *ret) {
        const char *name = v ? json_object_get_string(v) : "";

        for (unsigned i = 0; i < n; i++)
                if (strcmp(names[i], name) == 0) {
                        *ret = i;
                        return true;
                }
        return false;
}

/* Changes one key's secret or token, or the first one's. */
static bool set_credential(const ControlCall *c) {
        Config *config = &c->e->config;
        const char *id = control_text(c, "access_key", NULL);
        const char *secret = control_text(c, "secret_key", NULL);
        const char *token = control_text(c, "session_token", NULL);

        if (!id && config->n_credentials > 0)
                id = config->credentials[0].access_key;
        for (size_t i = 0; id && i < config->n_credentials; i++) {
                if (strcmp(config->credentials[i].access_key, id) != 0)
                        continue;
                secret = secret ? secret : config->credentials[i].secret_key;
                token = token ? token : config->credentials[i].session_token;
        }
        return id && secret && emulator_set_credential(c->e, id, secret, token ? token : "");
}

static bool set_one(const ControlCall *c, const char *name, json_object *v) {
        Config *config = &c->e->config;
        unsigned chosen;

        if (strcmp(name, "rate") == 0)
                config->rate = json_object_get_double(v);
        else if (strcmp(name, "gzip") == 0)
                config->gzip = json_object_get_boolean(v);
        else if (strcmp(name, "log") == 0)
                config->log = json_object_get_boolean(v);
        else if (strcmp(name, "log_bodies") == 0)
                config->log_bodies = json_object_get_boolean(v);
        else if (strcmp(name, "lower_message") == 0)
                config->lower_message = json_object_get_boolean(v);
        else if (strcmp(name, "clock_offset") == 0)
                config->clock_offset_s = (long) json_object_get_int64(v);
        else if (strcmp(name, "latency_ms") == 0)
                config->latency_ms = (unsigned) json_object_get_int64(v);
        else if (strcmp(name, "end_token") == 0) {
                if (!choose(v, end_tokens, 3, &chosen))
                        return false;
                config->end_token = (EndToken) chosen;
        } else if (strcmp(name, "error_style") == 0) {
                if (!choose(v, error_styles, 5, &chosen))
                        return false;
                config->error_style = (ErrorStyle) chosen;
        } else
                return strcmp(name, "access_key") == 0 || strcmp(name, "secret_key") == 0 ||
                       strcmp(name, "session_token") == 0;
        return true;
}

unsigned control_config(const ControlCall *c) {
        if (control_is(c, "GET", 1, NULL))
                return control_reply(c, describe_config(&c->e->config));
        if (control_is(c, "DELETE", 1, "credentials")) {
                emulator_drop_credentials(c->e);
                return control_reply(c, json_object_new_object());
        }
        if (!control_is(c, "POST", 1, NULL) || !json_object_is_type(c->body, json_type_object))
                return control_fail(c, "an object is expected");
        json_object_object_foreach(c->body, name, v) {
                if (!set_one(c, name, v))
                        return control_fail(c, "%s: unknown or wrong", name);
        }
        if (control_member(c, "access_key") || control_member(c, "secret_key") ||
            control_member(c, "session_token"))
                if (!set_credential(c))
                        return control_fail(c, "no such key, no secret_key, or too many keys");
        return control_reply(c, describe_config(&c->e->config));
}
