/* Loaded before libc (LD_PRELOAD): counts, records and disturbs the calls by which a process changes files under one folder.

   Nothing happens until shim_arm names the folder. Counted are: open with O_CREAT, write, pwrite, writev, ftruncate, fsync,
   fdatasync, rename, link, unlink, rmdir and mkdir, in all their spellings, on paths under the folder and on descriptors opened there.
   With SHIM_OPENS in the environment (the path of a pipe) it writes down every attempt to open a file after the first
   limit on the number of open files is set: what a process that must not open anything tries to open. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { NOTHING, KILL_BEFORE, KILL_AMID, FAIL_ONCE };
enum { LARGEST = 4096 };

static char root[4096];
static size_t root_length;
static long calls, when, budget = -1;
static int action, failure, link_failure, log_descriptor = -1, opens_descriptor = -1, opens_watched;
static char *path_of[LARGEST]; /* of the descriptors opened under the folder */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

static void raw_write(int descriptor, const void *bytes, size_t count) {
    const char *rest = bytes;
    while (count > 0) {
        long done = syscall(SYS_write, descriptor, rest, count);
        if (done <= 0) return;
        rest += done, count -= (size_t)done;
    }
}

void shim_arm(const char *folder, long at, int what, int error, long bytes, int no_links, int log_to) {
    snprintf(root, sizeof root, "%s", folder);
    root_length = strlen(root);
    calls = 0, when = at, action = what, failure = error, budget = bytes, link_failure = no_links, log_descriptor = log_to;
}

long shim_calls(void) { return calls; }

static int is_inside(const char *path) {
    return root_length && path && strncmp(path, root, root_length) == 0 && (path[root_length] == '/' || path[root_length] == 0);
}

static const char *under(int folder, const char *path, char *buffer) {
    if (path && path[0] == '/') return is_inside(path) ? path : NULL;
    if (folder < 0 || folder >= LARGEST || !path_of[folder]) return NULL;
    snprintf(buffer, 8192, "%s/%s", path_of[folder], path);
    return buffer;
}

static const char *opened(int descriptor) { return descriptor >= 0 && descriptor < LARGEST ? path_of[descriptor] : NULL; }

static void record(const char *what, int descriptor, long offset, const char *first, const char *second, const void *bytes, size_t count) {
    char line[16384];
    int length;
    if (log_descriptor < 0) return;
    length = snprintf(line, sizeof line, "%s\t%d\t%ld\t%zu\t%s\t%s\n", what, descriptor, offset, count, first ? first : "", second ? second : "");
    pthread_mutex_lock(&lock);
    raw_write(log_descriptor, line, (size_t)length);
    if (bytes) raw_write(log_descriptor, bytes, count);
    pthread_mutex_unlock(&lock);
}

void shim_note(const char *text) { record("note", -1, 0, text, NULL, NULL, 0); }

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* One counted call is about to be made: 0 to make it, -1 to fail with errno, 1 to make half of it or all of it and die. */
static int disturb(void) {
    long mine = __sync_add_and_fetch(&calls, 1);
    if (mine != when) return 0;
    if (action == KILL_BEFORE) die();
    if (action == FAIL_ONCE) {
        errno = failure;
        return -1;
    }
    return action == KILL_AMID;
}

#define COUNTED(inside, call)                \
    do {                                     \
        int disturbed_ = 0;                  \
        if (inside) {                        \
            disturbed_ = disturb();          \
            if (disturbed_ < 0) return -1;   \
        }                                    \
        result = (call);                     \
        if (disturbed_) die();               \
    } while (0)

static void watch(const char *path) {
    if (opens_watched && opens_descriptor >= 0 && path) {
        raw_write(opens_descriptor, path, strlen(path));
        raw_write(opens_descriptor, "\n", 1);
    }
}

static int open_at(int folder, const char *path, int flags, mode_t mode) {
    char buffer[8192];
    const char *inside = root_length ? under(folder, path, buffer) : NULL;
    int result;
    watch(path);
    COUNTED(inside && (flags & O_CREAT), (int)syscall(SYS_openat, folder, path, flags, mode));
    if (inside && result >= 0 && result < LARGEST) {
        path_of[result] = strdup(inside);
        record(flags & O_CREAT ? "create" : "open", result, 0, inside, NULL, NULL, 0);
    }
    return result;
}

#define MODE                                        \
    mode_t mode = 0;                                \
    if (flags & (O_CREAT | __O_TMPFILE)) {          \
        va_list rest;                               \
        va_start(rest, flags);                      \
        mode = (mode_t)va_arg(rest, int);           \
        va_end(rest);                               \
    }

int open(const char *path, int flags, ...) { MODE return open_at(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE return open_at(AT_FDCWD, path, flags | O_LARGEFILE, mode); }
int openat(int folder, const char *path, int flags, ...) { MODE return open_at(folder, path, flags, mode); }
int openat64(int folder, const char *path, int flags, ...) { MODE return open_at(folder, path, flags | O_LARGEFILE, mode); }
int creat(const char *path, mode_t mode) { return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

FILE *fopen(const char *path, const char *mode) {
    watch(path);
    return REAL(fopen)(path, mode);
}

FILE *fopen64(const char *path, const char *mode) {
    watch(path);
    return REAL(fopen64)(path, mode);
}

int close(int descriptor) {
    if (opened(descriptor)) {
        record("close", descriptor, 0, NULL, NULL, NULL, 0);
        free(path_of[descriptor]);
        path_of[descriptor] = NULL;
    }
    return (int)syscall(SYS_close, descriptor);
}

static ssize_t write_at(int descriptor, const void *bytes, size_t count, off_t offset) {
    int disturbed, positioned = offset >= 0;
    ssize_t result;
    if (!opened(descriptor)) return positioned ? syscall(SYS_pwrite64, descriptor, bytes, count, offset) : syscall(SYS_write, descriptor, bytes, count);
    disturbed = disturb();
    if (disturbed < 0) return -1;
    if (disturbed) count = (count + 1) / 2;
    if (budget >= 0) { /* a disk with so many bytes left: what fits is written, then it is full */
        if (budget == 0 && count) {
            errno = ENOSPC;
            return -1;
        }
        if ((long)count > budget) count = (size_t)budget;
        budget -= (long)count;
    }
    if (!positioned) offset = lseek(descriptor, 0, SEEK_CUR);
    result = positioned ? syscall(SYS_pwrite64, descriptor, bytes, count, offset) : syscall(SYS_write, descriptor, bytes, count);
    if (result > 0) record("write", descriptor, (long)offset, NULL, NULL, bytes, (size_t)result);
    if (disturbed) die();
    return result;
}

ssize_t write(int descriptor, const void *bytes, size_t count) { return write_at(descriptor, bytes, count, -1); }
ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t offset) { return write_at(descriptor, bytes, count, offset); }
ssize_t pwrite64(int descriptor, const void *bytes, size_t count, off64_t offset) { return write_at(descriptor, bytes, count, offset); }

ssize_t writev(int descriptor, const struct iovec *pieces, int count) {
    if (opened(descriptor) && count > 0) return write_at(descriptor, pieces[0].iov_base, pieces[0].iov_len, -1); /* a short write is allowed */
    return syscall(SYS_writev, descriptor, pieces, count);
}

static int truncate_to(int descriptor, off_t length) {
    int result;
    COUNTED(opened(descriptor), (int)syscall(SYS_ftruncate, descriptor, length));
    if (opened(descriptor) && result == 0) record("truncate", descriptor, (long)length, NULL, NULL, NULL, 0);
    return result;
}

int ftruncate(int descriptor, off_t length) { return truncate_to(descriptor, length); }
int ftruncate64(int descriptor, off64_t length) { return truncate_to(descriptor, length); }

static int sync_by(long number, int descriptor) {
    int result;
    COUNTED(opened(descriptor), (int)syscall(number, descriptor));
    if (opened(descriptor) && result == 0) record("sync", descriptor, 0, NULL, NULL, NULL, 0);
    return result;
}

int fsync(int descriptor) { return sync_by(SYS_fsync, descriptor); }
int fdatasync(int descriptor) { return sync_by(SYS_fdatasync, descriptor); }

static int rename_at(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
    char first_buffer[8192], second_buffer[8192];
    const char *first = under(from_folder, from, first_buffer), *second = under(to_folder, to, second_buffer);
    int result;
    COUNTED(first || second, (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, flags));
    if ((first || second) && result == 0) record("rename", -1, 0, first, second, NULL, 0);
    return result;
}

int rename(const char *from, const char *to) { return rename_at(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int a, const char *from, int b, const char *to) { return rename_at(a, from, b, to, 0); }
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) { return rename_at(a, from, b, to, flags); }

int linkat(int a, const char *from, int b, const char *to, int flags) {
    char first_buffer[8192], second_buffer[8192];
    const char *first = under(a, from, first_buffer), *second = under(b, to, second_buffer);
    int result;
    if (second && link_failure) {
        errno = link_failure;
        return -1;
    }
    COUNTED(first || second, (int)syscall(SYS_linkat, a, from, b, to, flags));
    if ((first || second) && result == 0) record("link", -1, 0, first, second, NULL, 0);
    return result;
}

int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int folder, const char *path, int flags) {
    char buffer[8192];
    const char *inside = under(folder, path, buffer);
    int result;
    COUNTED(inside, (int)syscall(SYS_unlinkat, folder, path, flags));
    if (inside && result == 0) record("unlink", -1, 0, inside, NULL, NULL, 0);
    return result;
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int folder, const char *path, mode_t mode) {
    char buffer[8192];
    const char *inside = under(folder, path, buffer);
    int result;
    COUNTED(inside, (int)syscall(SYS_mkdirat, folder, path, mode));
    if (inside && result == 0) record("mkdir", -1, 0, inside, NULL, NULL, 0);
    return result;
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

static void limit_set(int resource) {
    if (resource == RLIMIT_NOFILE) opens_watched = 1;
}

int setrlimit(__rlimit_resource_t resource, const struct rlimit *limits) {
    limit_set(resource);
    return (int)syscall(SYS_prlimit64, 0, resource, limits, NULL);
}

int setrlimit64(__rlimit_resource_t resource, const struct rlimit64 *limits) {
    limit_set(resource);
    return (int)syscall(SYS_prlimit64, 0, resource, limits, NULL);
}

__attribute__((constructor)) static void start(void) {
    const char *pipe_path = getenv("SHIM_OPENS");
    if (pipe_path) opens_descriptor = (int)syscall(SYS_openat, AT_FDCWD, pipe_path, O_WRONLY | O_CLOEXEC | O_NONBLOCK, 0);
}
