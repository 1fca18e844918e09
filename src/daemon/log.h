/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <syslog.h>

#include "base/error.h"

/* Operational conditions have a fixed journal MESSAGE_ID each, explained by systemd/rosterd.catalog.
 * Never change or reuse one. */
#define LOG_ID_STARTED "17d244b5420b464b984141558a9058b9"
#define LOG_ID_STOPPING "7fa7b35ee855403b9dff45e9440ca7ae"
#define LOG_ID_RELOADED "ffbf315f4625462d9e19ae418604886d"
#define LOG_ID_RELOAD_REFUSED "1b43791bf50c49c29987222c9f4ee9b7"
#define LOG_ID_STORE_FAILED "a008e806c8a24589b82336734cc125a5"
#define LOG_ID_STORE_RECOVERED "e527bd42af1d4945bf1339c89d3c8117"
#define LOG_ID_RECORDS_SKIPPED "0c97ea7c445849418790acb9dbcb9b43"
#define LOG_ID_CONFIG_REFUSED "fd67f96c95734594ad193ad312b5ffff"
#define LOG_ID_DATABASE_REFUSED "91503219da1942e0b7b598e7cc90d3a8"
#define LOG_ID_CREDENTIALS_NOT_RENEWED "b6cb5318370aba4080bdb763353ff706"
#define LOG_ID_CREDENTIALS_REMARK "431948f13c30bea56e8b9a28d2ea879e"
#define LOG_ID_CONTROL_FAILED "7bf83c46779012df4965fb36f9429753"
#define LOG_ID_REMOVALS_ACCEPTED "9857829473641f116a14cf5c4058713b"
#define LOG_ID_FORGOTTEN "52d3467d580e39e288581756775824be"
#define LOG_ID_WEBHOOK_REPLAYED "9c4223c2f763c1a8cfabb8d703fc03a8"
#define LOG_ID_FORGET_FAILED "f58620d2a1e484aadf720feb801ea1e6"
#define LOG_ID_WEBHOOK_FAILING "53bb6a19421540d582a0131e80df55d5"
#define LOG_ID_WEBHOOK_RECOVERED "8ed3f9687a5346b08cb30d41b2917067"
#define LOG_ID_WEBHOOK_DEAD_LETTER "54aeb7de33c44aca840c84df1003af6b"
#define LOG_ID_WEBHOOK_STOPPED "3a608d989f0043c6a7728db00c087c17"
#define LOG_ID_WEBHOOK_REMOVED "8e7edd9433914045ac9c412a05b3ad0c"
#define LOG_ID_WEBHOOKS_WAIT "37c3e84373a343708898bbdd976b33dd"

/* What is less urgent than this is left out; LOG_INFO at first. */
void log_set_level(int priority);

/* One line to the journal or stderr.  message_id and account may be NULL.  Only daemon/ logs, once,
 * at the place that knows the context; never a secret. */
#define log_line(priority, message_id, account, ...)                                             \
        log_full(priority, message_id, "ROSTERD_ACCOUNT", account, __FILE__, __LINE__, __func__, \
                 __VA_ARGS__)
/* The same about a webhook, by its name. */
#define log_webhook(priority, message_id, webhook, ...)                                          \
        log_full(priority, message_id, "ROSTERD_WEBHOOK", webhook, __FILE__, __LINE__, __func__, \
                 __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, NULL, NULL, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, NULL, NULL, __VA_ARGS__)

/* field is the journal's name for what value is; value may be NULL. */
void log_full(int priority, const char *message_id, const char *field, const char *value,
              const char *file, int line, const char *func, const char *fmt, ...)
        __attribute__((format(printf, 8, 9)));
