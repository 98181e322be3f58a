/* Stands between a process and the disk: writes down every write and sync below one folder, and
 * fails one of them on request. Preloaded; Linux only.
 *
 * MMATS_SHIM_DIR    folder to watch; its lock.mdb, which lies in memory, is left out
 * MMATS_SHIM_LOG    file that takes the operations; none: they are only counted
 *
 * The program says by a call of mmats_shim_fail which operation is to fail; those on a file named
 * `acks` don't count.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

struct header {
    uint8_t op; /* w: write, s: sync, r: rename */
    uint8_t is_synced;
    uint16_t name_size;
    uint32_t data_size;
    uint64_t offset;
} __attribute__((packed));

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static const char *folder;
static size_t folder_size;
static int log_fd = -1;
static long fail_at;
static int fail_errno;
static long op_count;

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_pwritev)(int, const struct iovec *, int, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_rename)(const char *, const char *);

__attribute__((constructor)) static void start(void)
{
    real_write = dlsym(RTLD_NEXT, "write");
    real_writev = dlsym(RTLD_NEXT, "writev");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_pwritev = dlsym(RTLD_NEXT, "pwritev64");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_rename = dlsym(RTLD_NEXT, "rename");
    folder = getenv("MMATS_SHIM_DIR");
    folder_size = folder ? strlen(folder) : 0;
    const char *text = getenv("MMATS_SHIM_LOG");
    if (text)
        log_fd = open(text, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* From now on, let operation `number` fail with `error`: for a process that was forked. */
void mmats_shim_fail(long number, int error)
{
    op_count = 0;
    fail_at = number;
    fail_errno = error;
}

/* Name below the folder, or 0 for what is not watched. */
static const char *watched(const char *path)
{
    if (!folder_size || strncmp(path, folder, folder_size) != 0)
        return 0;
    const char *name = path + folder_size;
    if (*name != '/' && *name != 0)
        return 0;
    const char *base = strrchr(path, '/');
    if (strcmp(base, "/lock.mdb") == 0)
        return 0;
    return *name ? name + 1 : name;
}

static const char *watched_fd(int fd, char *path)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, PATH_MAX);
    if (size < 0 || size >= PATH_MAX)
        return 0;
    path[size] = 0;
    return watched(path);
}

/* Count one operation; true where it is the one to fail. */
static int must_fail(const char *name)
{
    const char *base = strrchr(name, '/');
    if (strcmp(base ? base + 1 : name, "acks") == 0)
        return 0;
    return ++op_count == fail_at;
}

static void note(char op, int fd, const char *name, uint64_t offset, const struct iovec *parts,
                 int count, size_t limit)
{
    if (log_fd < 0)
        return;
    struct header header = {(uint8_t)op, 0, (uint16_t)strlen(name), (uint32_t)limit, offset};
    header.is_synced = fd >= 0 && (fcntl(fd, F_GETFL) & O_DSYNC) != 0;
    real_write(log_fd, &header, sizeof header);
    real_write(log_fd, name, header.name_size);
    for (int i = 0; i < count && limit > 0; i++) {
        size_t size = parts[i].iov_len < limit ? parts[i].iov_len : limit;
        real_write(log_fd, parts[i].iov_base, size);
        limit -= size;
    }
}

static ssize_t put(int fd, const struct iovec *parts, int count, off_t offset, int is_placed)
{
    char path[PATH_MAX];
    const char *name = folder_size ? watched_fd(fd, path) : 0;
    if (!name)
        return is_placed ? real_pwritev(fd, parts, count, offset) : real_writev(fd, parts, count);
    pthread_mutex_lock(&mutex);
    ssize_t size = -1;
    int error = fail_errno;
    if (!must_fail(name)) {
        off_t at = is_placed ? offset : lseek(fd, 0, SEEK_CUR);
        size = is_placed ? real_pwritev(fd, parts, count, offset) : real_writev(fd, parts, count);
        error = errno;
        if (size >= 0)
            note('w', fd, name, (uint64_t)at, parts, count, (size_t)size);
    }
    pthread_mutex_unlock(&mutex);
    errno = error;
    return size;
}

ssize_t write(int fd, const void *data, size_t size)
{
    struct iovec part = {(void *)data, size};
    if (!real_write)
        start();
    return folder_size && fd > 2 ? put(fd, &part, 1, 0, 0) : real_write(fd, data, size);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return put(fd, parts, count, 0, 0);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
    struct iovec part = {(void *)data, size};
    return put(fd, &part, 1, offset, 1);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return pwrite64(fd, data, size, offset);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset)
{
    return put(fd, parts, count, offset, 1);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    return put(fd, parts, count, offset, 1);
}

static int sync_file(int fd, int (*real)(int))
{
    char path[PATH_MAX];
    const char *name = folder_size ? watched_fd(fd, path) : 0;
    if (!name)
        return real(fd);
    pthread_mutex_lock(&mutex);
    int result = -1, error = fail_errno;
    if (!must_fail(name)) {
        result = real(fd);
        error = errno;
        if (result == 0)
            note('s', -1, name, 0, 0, 0, 0);
    }
    pthread_mutex_unlock(&mutex);
    errno = error;
    return result;
}

int fsync(int fd)
{
    return sync_file(fd, real_fsync);
}

int fdatasync(int fd)
{
    return sync_file(fd, real_fdatasync);
}

int rename(const char *from, const char *to)
{
    const char *name = watched(from), *next = watched(to);
    if (!name || !next)
        return real_rename(from, to);
    pthread_mutex_lock(&mutex);
    int result = -1, error = fail_errno;
    if (!must_fail(name)) {
        result = real_rename(from, to);
        error = errno;
        struct iovec part = {(void *)next, strlen(next)};
        if (result == 0)
            note('r', -1, name, 0, &part, 1, part.iov_len);
    }
    pthread_mutex_unlock(&mutex);
    errno = error;
    return result;
}
