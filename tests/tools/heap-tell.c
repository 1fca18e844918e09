/* SPDX-License-Identifier: Apache-2.0 */
/* LD_PRELOAD: writes into $HEAP_TELL, as text, how many bytes of memory the program has allocated and not
 * freed, each time that its loop is about to wait, though not more often than every tenth of a second.
 * What the kernel counts says less: a leak may long hide in what was freed before. */
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void tell(void) {
        static long long last;
        static int fd = -1;
        const char *path = getenv("HEAP_TELL");
        struct timespec ts = { 0 };
        struct mallinfo2 info;
        long long now;
        char text[32];
        int len;

        (void) syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
        now = ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
        if (!path || now - last < 100)
                return;
        last = now;
        if (fd < 0)
                fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        info = mallinfo2();
        len = snprintf(text, sizeof text, "%-20zu\n", info.uordblks + info.hblkhd);
        if (fd >= 0 && pwrite(fd, text, (size_t) len, 0) < len)
                fd = -1;
}

int epoll_wait(int fd, struct epoll_event *events, int most, int timeout) {
        tell();
        return (int) syscall(SYS_epoll_wait, fd, events, most, timeout);
}
