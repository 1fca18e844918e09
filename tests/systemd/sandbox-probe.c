/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in rosterd's place in its unit, tries what the unit forbids (and what it must allow), and
 * writes to $STATE_DIRECTORY/probe what came of each try: "NAME ok", or the name of an errno or of a
 * signal.  test_sandbox.py starts it and knows what is right.
 *
 * No try does harm where it is let: what would is asked with arguments that the kernel refuses only
 * after it has looked whether the caller may ask at all. */
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

/* A try: `way` and `arg` say what of its kind.  Returns 0 when it was let, else an errno. */
typedef struct Try {
        const char *name;
        int (*way)(const char *text, long arg);
        const char *text;
        long arg;
} Try;

static int outcome(long result) {
        return result < 0 ? errno : 0;
}

/* ---- files ---- */

static int write_file(const char *path, long arg) {
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);

        (void) arg;
        return fd < 0 || close(fd) < 0 ? errno : 0;
}

/* Where an environment variable says. */
static int write_in(const char *variable, long arg) {
        const char *folder = getenv(variable);
        char path[512];

        if (!folder)
                return ENOENT;
        (void) snprintf(path, sizeof path, "%s/written", folder);
        return write_file(path, arg);
}

/* A byte of it: what is hidden may be there and empty. */
static int read_file(const char *path, long arg) {
        int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        char byte;
        ssize_t n;

        (void) arg;
        if (fd < 0)
                return errno;
        n = read(fd, &byte, 1);
        return n < 0 ? errno : n == 0 ? ENODATA : 0;
}

static int open_file(const char *path, long arg) {
        return outcome(open(path, (int) arg | O_CLOEXEC));
}

static int make_directory(const char *path, long arg) {
        (void) arg;
        return outcome(mkdir(path, 0755));
}

static int state_path(char path[static 512], const char *name) {
        const char *folder = getenv("STATE_DIRECTORY");

        if (!folder)
                return ENOENT;
        (void) snprintf(path, 512, "%s/%s", folder, name);
        return write_file(path, 0);
}

static int set_mode(const char *name, long mode) {
        char path[512];
        int r = state_path(path, name);

        return r ? r : outcome(chmod(path, (mode_t) mode));
}

static int give_away(const char *name, long owner) {
        char path[512];
        int r = state_path(path, name);

        return r ? r : outcome(chown(path, (uid_t) owner, (gid_t) owner));
}

static int file_that_others_read(const char *name, long arg) {
        struct stat st;
        char path[512];
        int r = state_path(path, name);

        (void) arg;
        if (r)
                return r;
        if (stat(path, &st) < 0)
                return errno;
        return st.st_mode & S_IROTH ? 0 : EACCES;
}

static int make_device(const char *name, long arg) {
        char path[512];
        int r = state_path(path, "folder-is-there");

        if (r)
                return r;
        (void) snprintf(path, sizeof path, "%s/%s", getenv("STATE_DIRECTORY"), name);
        return outcome(mknod(path, S_IFCHR | 0600, (dev_t) arg));
}

/* ---- sockets ---- */

static int make_socket(const char *text, long family) {
        (void) text;
        return outcome(socket((int) family, family == AF_PACKET ? SOCK_DGRAM : SOCK_STREAM, 0));
}

static int make_raw_socket(const char *text, long family) {
        (void) text;
        return outcome(socket((int) family, SOCK_RAW, family == AF_INET ? IPPROTO_ICMP : 0));
}

/* ---- memory ---- */

static int map(const char *text, long protection) {
        (void) text;
        return mmap(NULL, 4096, (int) protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
                       ? errno
                       : 0;
}

static int make_executable(const char *text, long arg) {
        void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        (void) text;
        (void) arg;
        return p == MAP_FAILED ? errno : outcome(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}

static int attach_executable(const char *text, long arg) {
        int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0700), error = 0;

        (void) text;
        (void) arg;
        if (id < 0)
                return errno;
        if (shmat(id, NULL, SHM_EXEC) == (void *) -1)
                error = errno;
        (void) shmctl(id, IPC_RMID, NULL);
        return error;
}

static int map_own_file(const char *name, long arg) {
        char path[512];
        int r = state_path(path, name), fd;

        (void) arg;
        if (r)
                return r;
        fd = open(path, O_RDWR | O_CLOEXEC);
        if (fd < 0 || ftruncate(fd, 4096) < 0)
                return errno;
        return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED ? errno
                                                                                         : 0;
}

static int leave_shared_memory(const char *text, long key) {
        (void) text;
        return outcome(shmget((key_t) key, 4096, IPC_CREAT | 0600));
}

/* ---- programs ---- */

static int run(const char *path, long arg) {
        (void) arg;
        execl(path, path, "was-run", (char *) NULL);
        return errno;
}

static int copy_of_self(int to) {
        int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        char bytes[65536];
        ssize_t n;

        if (from < 0 || to < 0)
                return -1;
        while ((n = read(from, bytes, sizeof bytes)) > 0)
                if (write(to, bytes, (size_t) n) != n)
                        return -1;
        return (int) n;
}

static int run_what_it_wrote(const char *name, long arg) {
        char path[512];
        int r = state_path(path, name), fd;

        if (r)
                return r;
        fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
        if (copy_of_self(fd) < 0 || fchmod(fd, 0700) < 0 || close(fd) < 0)
                return errno;
        return run(path, arg);
}

static int run_from_memory(const char *name, long arg) {
        char *argv[] = { (char[]){ "memory" }, (char[]){ "was-run" }, NULL };
        char *environment[] = { NULL };
        int fd = memfd_create(name, MFD_CLOEXEC);

        (void) arg;
        if (copy_of_self(fd) < 0)
                return errno;
        (void) fexecve(fd, argv, environment);
        return errno;
}

/* ---- other processes ---- */

static int trace_a_child(const char *text, long arg) {
        pid_t child = fork();
        int r;

        (void) text;
        (void) arg;
        if (child == 0) {
                (void) pause();
                _exit(0);
        }
        r = outcome(ptrace(PTRACE_ATTACH, child, NULL, NULL));
        (void) kill(child, SIGKILL);
        (void) waitpid(child, NULL, 0);
        return r;
}

static int new_child(const char *text, long flags) {
        long child = syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, 0L);

        (void) text;
        if (child == 0)
                _exit(0);
        return outcome(child);
}

static int leave_namespaces(const char *text, long flags) {
        (void) text;
        return outcome(unshare((int) flags));
}

static int join_namespace(const char *path, long flag) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        return fd < 0 ? errno : outcome(setns(fd, (int) flag));
}

static int share_mounts(const char *text, long arg) {
        char init[64] = "", own[64] = "";

        (void) text;
        (void) arg;
        if (readlink("/proc/1/ns/mnt", init, sizeof init - 1) < 0 ||
            readlink("/proc/self/ns/mnt", own, sizeof own - 1) < 0)
                return errno;
        return strcmp(init, own) == 0 ? 0 : EXDEV;
}

/* ---- privileges ---- */

static int call(const char *text, long number) {
        (void) text;
        return outcome(syscall(number, -1L, -1L, -1L, -1L, -1L));
}

static int call_with_zeros(const char *text, long number) {
        return outcome(syscall(number, text, 0L, 0L, 0L, 0L));
}

static int ask_reboot(const char *text, long magic) {
        (void) text;
        return outcome(syscall(SYS_reboot, magic, magic, magic, NULL)); /* no magic number at all */
}

static int load_kexec(const char *text, long flags) {
        (void) text;
        return outcome(syscall(SYS_kexec_load, 0L, 0L, NULL, flags)); /* flags that there are not */
}

static int set_clock(const char *text, long clock) {
        (void) text;
        return outcome(syscall(SYS_clock_settime, clock, (struct timespec *) 1));
}

static int mount_something(const char *where, long arg) {
        (void) arg;
        return outcome(mount("none", where, "tmpfs", 0, NULL));
}

static int become(const char *text, long uid) {
        (void) text;
        return outcome(syscall(SYS_setuid, uid));
}

static int set_host_name(const char *name, long arg) {
        (void) arg;
        return outcome(sethostname(name, strlen(name)));
}

static int set_personality(const char *text, long flags) {
        (void) text;
        return outcome(personality((unsigned long) flags));
}

static int add_a_key(const char *name, long ring) {
        return outcome(syscall(SYS_add_key, "user", name, "x", 1L, ring));
}

static int read_kernel_log(const char *text, long command) {
        (void) text;
        return outcome(klogctl((int) command, NULL, 0));
}

static int real_time(const char *text, long policy) {
        struct sched_param p = { .sched_priority = 1 };

        (void) text;
        return outcome(sched_setscheduler(0, (int) policy, &p));
}

static int set_priority(const char *text, long value) {
        (void) text;
        return outcome(setpriority(PRIO_PROCESS, 0, (int) value));
}

/* As for a core file: first what it may, then what it would like. */
static int raise_core_limit(const char *text, long arg) {
        struct rlimit limit;

        (void) text;
        (void) arg;
        if (getrlimit(RLIMIT_CORE, &limit) < 0)
                return errno;
        return limit.rlim_cur > 0 || limit.rlim_max > 0 ? 0 : EPERM;
}

static int gain_privileges(const char *path, long arg) {
        (void) arg;
        execl(path, path, "am-i-root", (char *) NULL);
        return errno;
}

static int foreign_call(const char *text, long arg) {
        (void) text;
        (void) arg;
#ifdef __x86_64__
        long result = 20; /* getpid, as 32-bit programs ask for it */

        __asm__ volatile("int $0x80" : "+a"(result) : : "memory", "rbx", "rcx", "rdx");
        return result < 0 ? (int) -result : 0;
#else
        return ENOSYS;
#endif
}

#include "sandbox-tries.h"

/* ---- all of them ---- */

static void tell(FILE *out, const Try *t, int status) {
        if (WIFSIGNALED(status))
                fprintf(out, "%s SIG%s\n", t->name, sigabbrev_np(WTERMSIG(status)));
        else if (WEXITSTATUS(status) == 0)
                fprintf(out, "%s ok\n", t->name);
        else
                fprintf(out, "%s %s\n", t->name, strerrorname_np(WEXITSTATUS(status)));
}

/* Each in a process of its own: a try may kill, or change what the next one sees. */
static int attempt(FILE *out, const Try *t) {
        pid_t child = fork();
        int status;

        if (child == 0) {
                (void) alarm(10);
                _exit(t->way(t->text, t->arg));
        }
        if (child < 0 || waitpid(child, &status, 0) != child)
                return -1;
        tell(out, t, status);
        return 0;
}

int main(int argc, char *argv[]) {
        const char *folder = getenv("STATE_DIRECTORY");
        char path[512];
        FILE *out;

        if (argc > 1 && strcmp(argv[1], "was-run") == 0) /* by a try */
                return 0;
        if (argc > 1 && strcmp(argv[1], "am-i-root") == 0)
                return geteuid() == 0 ? 0 : EPERM;
        if (!folder)
                return 2;
        (void) snprintf(path, sizeof path, "%s/probe", folder);
        out = fopen(path, "we");
        if (!out)
                return 3;
        (void) setvbuf(out, NULL, _IOLBF, 0); /* nothing that a child would write again */
        for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++)
                if (attempt(out, &tries[i]) < 0)
                        return 4;
        if (fclose(out) != 0)
                return 5;
        (void) sd_notify(0, "READY=1");
        return 0;
}
