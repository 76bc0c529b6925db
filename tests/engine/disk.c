/* A disk that fails and forgets, for the files of a store: preloaded into a process (see disk.py).

   DISK_STORE is the path of the store; its database and its write-ahead log are meant, by their names.
   DISK_FAULTS is a folder: while a file of that name is in it, `write`, `full`, `read` or `sync` fails for both of them,
   `sync-db` and `sync-wal` for one.
   DISK_IMAGE is a folder with what is on the disk, as opposed to what reads of the files see: a page gets there when an
   fsync succeeds after it was written. After one that fails, as on Linux, the pages count as written and are not. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096
#define PAGES 65536

static unsigned char dirty[2][PAGES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

/* 0: the database, 1: its log, -1: some other file. */
static int which(int fd)
{
    static const char *store;
    if (!store && !(store = getenv("DISK_STORE"))) return -1;
    char name[64], path[PATH_MAX];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(name, path, sizeof path - 1);
    if (length < 0) return -1;
    path[length] = 0;
    size_t size = strlen(store);
    if (strncmp(path, store, size)) return -1;
    return !path[size] ? 0 : strcmp(path + size, "-wal") ? -1 : 1;
}

static int faulty(const char *fault)
{
    char path[PATH_MAX];
    const char *folder = getenv("DISK_FAULTS");
    return folder && snprintf(path, sizeof path, "%s/%s", folder, fault) > 0 && !access(path, F_OK);
}

static void touch(int file, off_t offset, ssize_t count)
{
    pthread_mutex_lock(&lock);
    for (off_t page = offset / PAGE; count > 0 && page <= (offset + count - 1) / PAGE && page < PAGES; page++)
        dirty[file][page] = 1;
    pthread_mutex_unlock(&lock);
}

static ssize_t real_pread(int fd, void *into, size_t count, off_t offset)
{
    REAL(ssize_t, "pread64", int, void *, size_t, off_t);
    return real(fd, into, count, offset);
}

static ssize_t real_pwrite(int fd, const void *from, size_t count, off_t offset)
{
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off_t);
    return real(fd, from, count, offset);
}

ssize_t pread64(int fd, void *into, size_t count, off_t offset)
{
    if (which(fd) >= 0 && faulty("read")) return errno = EIO, -1;
    return real_pread(fd, into, count, offset);
}

ssize_t pwrite64(int fd, const void *from, size_t count, off_t offset)
{
    int file = which(fd);
    if (file >= 0 && faulty("write")) return errno = EIO, -1;
    if (file >= 0 && faulty("full")) return errno = ENOSPC, -1;
    ssize_t written = real_pwrite(fd, from, count, offset);
    if (file >= 0) touch(file, offset, written);
    return written;
}

ssize_t pread(int fd, void *into, size_t count, off_t offset) { return pread64(fd, into, count, offset); }
ssize_t pwrite(int fd, const void *from, size_t count, off_t offset) { return pwrite64(fd, from, count, offset); }

static int keep(int fd, int file)
{
    char path[PATH_MAX], page[PAGE];
    struct stat now;
    const char *folder = getenv("DISK_IMAGE");
    if (!folder) return 0;
    snprintf(path, sizeof path, "%s/store.db%s", folder, file ? "-wal" : "");
    int image = open(path, O_RDWR | O_CREAT, 0600);
    if (image < 0 || fstat(fd, &now)) abort();
    for (int index = 0; index < PAGES; index++) {
        if (!dirty[file][index]) continue;
        ssize_t count = real_pread(fd, page, PAGE, (off_t)index * PAGE);
        if (count > 0 && real_pwrite(image, page, count, (off_t)index * PAGE) != count) abort();
    }
    if (ftruncate(image, now.st_size)) abort();
    return close(image);
}

static int sync_of(int fd, int (*real)(int))
{
    int file = which(fd);
    if (file < 0) return real(fd);
    int fails = faulty("sync") || faulty(file ? "sync-wal" : "sync-db");
    pthread_mutex_lock(&lock);
    if (!fails) keep(fd, file);
    memset(dirty[file], 0, PAGES);
    pthread_mutex_unlock(&lock);
    return fails ? (errno = EIO, -1) : 0;
}

int fsync(int fd)
{
    REAL(int, "fsync", int);
    return sync_of(fd, real);
}

int fdatasync(int fd)
{
    REAL(int, "fdatasync", int);
    return sync_of(fd, real);
}
