/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server: from MHD's callbacks to listing_answer() and control_answer(), and back. */
#pragma once

#include "emulator.h"

typedef struct Server Server;

typedef struct ServerOptions {
        uint16_t port; /* 0: any free one */
        unsigned threads;
        char *tls_cert, *tls_key; /* PEM text, or NULL for plain HTTP */
} ServerOptions;

/* NULL: it did not start; errno says why where it can. */
Server *server_start(Emulator *e, const ServerOptions *options);
uint16_t server_port(const Server *s);
void server_stop(Server *s);
