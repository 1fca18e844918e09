/* SPDX-License-Identifier: Apache-2.0 */
/* LD_PRELOAD: lets one allocation of the program fail, and perhaps those after it.
 *
 *   MALLOC_FAIL_AT=N    the N-th one, counted from main(), the first is 1
 *   MALLOC_FAIL_MORE=M  and the M next ones
 *   MALLOC_FAIL_BY=PART counts only those that are asked for by a library with this in its path
 *   MALLOC_TELL         file that is told, as text, how many there were when the program ended
 *
 * Two who crash without memory are left alone: libcurl 7.88 does not look whether libcrypto 3.0 could
 * begin a digest, nor json-c 0.16 at the copy of a member's name. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* glibc's own, which its malloc() and so on are other names of */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);

typedef int Main(int argc, char **argv, char **envp);
typedef int StartMain(Main *main, int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*rtld_fini)(void), void *stack_end);

static bool counting;
static unsigned long count, first, last;
static const char *only;

/* Whether what is called with this address belongs to the library. */
static bool is_of(const void *caller, const char *library) {
        Dl_info info;

        return dladdr(caller, &info) && info.dli_fname && strstr(info.dli_fname, library);
}

static bool fails(const void *caller) {
        unsigned long n;

        if (!__atomic_load_n(&counting, __ATOMIC_RELAXED) || is_of(caller, "/libcurl") ||
            is_of(caller, "/libcrypto") || (only && !is_of(caller, only)))
                return false;
        n = __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED);
        if (n < first || n > last)
                return false;
        errno = ENOMEM;
        return true;
}

void *malloc(size_t size) {
        return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size) {
        return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size) {
        return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(p, size);
}

char *strdup(const char *text) {
        const void *caller = __builtin_return_address(0);
        size_t size = strlen(text) + 1;
        char *copy = !is_of(caller, "/libjson-c") && fails(caller) ? NULL : __libc_malloc(size);

        return copy ? memcpy(copy, text, size) : NULL;
}

static unsigned long number(const char *name) {
        const char *text = getenv(name);

        return text ? strtoul(text, NULL, 10) : 0;
}

__attribute__((destructor)) static void tell(void) {
        const char *path = getenv("MALLOC_TELL");
        char text[32];
        int len = snprintf(text, sizeof text, "%lu\n", count);
        int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;

        if (fd >= 0 && write(fd, text, (size_t) len) < len)
                abort();
}

/* Where main() is called from, once the libraries have been set up. */
int __libc_start_main(Main *main, int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*rtld_fini)(void), void *stack_end) {
        StartMain *next = (StartMain *) dlsym(RTLD_NEXT, "__libc_start_main");

        first = number("MALLOC_FAIL_AT");
        last = first + number("MALLOC_FAIL_MORE");
        only = getenv("MALLOC_FAIL_BY");
        counting = true;
        return next(main, argc, argv, init, fini, rtld_fini, stack_end);
}
