/* SPDX-License-Identifier: Apache-2.0 */
#include "timers.h"

#include "emulator.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

typedef struct Entry {
        struct MHD_Connection *connection;
        int fd;
        uint64_t due_ns;
} Entry;

struct Timers {
        pthread_t thread;
        pthread_mutex_t lock;
        int wake_fd;
        bool stopping;
        Entry *entries;
        size_t n, cap;
};

static void wake(Timers *t) {
        uint64_t one = 1;

        while (write(t->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
                ;
}

bool timers_suspend(Timers *t, struct MHD_Connection *connection, int fd, uint64_t due_ns) {
        bool going;

        (void) pthread_mutex_lock(&t->lock);
        going = !t->stopping;
        if (going) {
                MHD_suspend_connection(connection);
                if (t->n == t->cap) {
                        t->cap = t->cap ? t->cap * 2 : 16;
                        t->entries = xrealloc(t->entries, t->cap * sizeof *t->entries);
                }
                t->entries[t->n++] = (Entry){ connection, fd, due_ns };
        }
        (void) pthread_mutex_unlock(&t->lock);
        wake(t);
        return going;
}

/* Fills `fds` for poll() and returns how long to wait at most, in milliseconds. */
static int prepare(const Timers *t, struct pollfd *fds) {
        uint64_t first = TIMERS_NEVER, now = now_ns();

        fds[0] = (struct pollfd){ .fd = t->wake_fd, .events = POLLIN };
        for (size_t i = 0; i < t->n; i++) {
                fds[i + 1] = (struct pollfd){ .fd = t->entries[i].fd, .events = POLLRDHUP };
                if (t->entries[i].due_ns < first)
                        first = t->entries[i].due_ns;
        }
        if (first == TIMERS_NEVER)
                return -1;
        if (first <= now)
                return 0;
        first = (first - now + 999999) / 1000000;
        return first > 60000 ? 60000 : (int) first;
}

/* `fds` is NULL when only the time counts; its first `n` entries are those of `t`. */
static void resume_due(Timers *t, const struct pollfd *fds, size_t n) {
        uint64_t now = now_ns();
        size_t kept = 0;

        for (size_t i = 0; i < t->n; i++) {
                Entry entry = t->entries[i];
                bool gone = i < n && fds[i + 1].revents != 0;

                if (gone || entry.due_ns <= now || t->stopping)
                        MHD_resume_connection(entry.connection);
                else
                        t->entries[kept++] = entry;
        }
        t->n = kept;
}

static void *run(void *userdata) {
        Timers *t = userdata;
        struct pollfd *fds = NULL;

        (void) pthread_mutex_lock(&t->lock);
        for (;;) {
                size_t n = t->n;
                uint64_t count;
                int timeout;

                fds = xrealloc(fds, (n + 1) * sizeof *fds);
                timeout = prepare(t, fds);
                if (t->stopping)
                        break;
                (void) pthread_mutex_unlock(&t->lock);
                if (poll(fds, n + 1, timeout) > 0 && fds[0].revents)
                        (void) !read(t->wake_fd, &count, sizeof count);
                (void) pthread_mutex_lock(&t->lock);
                resume_due(t, fds, n);
        }
        resume_due(t, fds, 0);
        (void) pthread_mutex_unlock(&t->lock);
        free(fds);
        return NULL;
}

Timers *timers_start(void) {
        Timers *t = xcalloc(1, sizeof *t);

        (void) pthread_mutex_init(&t->lock, NULL);
        t->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (t->wake_fd < 0 || pthread_create(&t->thread, NULL, run, t) != 0) {
                free(t);
                return NULL;
        }
        return t;
}

void timers_stop(Timers *t) {
        (void) pthread_mutex_lock(&t->lock);
        t->stopping = true;
        (void) pthread_mutex_unlock(&t->lock);
        wake(t);
        (void) pthread_join(t->thread, NULL);
}

void timers_free(Timers *t) {
        (void) close(t->wake_fd);
        (void) pthread_mutex_destroy(&t->lock);
        free(t->entries);
        free(t);
}
