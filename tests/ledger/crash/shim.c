// SPDX-License-Identifier: Apache-2.0
// Simulated power loss. Loaded with LD_PRELOAD, this library watches one folder (MANGROVE_WATCH) and keeps beside it
// an image (MANGROVE_IMAGE) of what a disk would hold if the power failed now: only bytes that fsync or fdatasync
// has made durable. As on ext4, syncing a new file also makes its name durable; renames and removals wait for the
// next sync of any file or folder. The worst case by construction.
// Not covered: O_DSYNC, sync_file_range, msync, io_uring, statically linked writers.
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

#define QUEUE 65536
static struct { char *from, *to; } queue[QUEUE];
static int queued;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void die(const char *what) {
    perror(what);
    _exit(99); // a shim that misses an event proves nothing
}

// The path of `path` in the image, or NULL when it is not watched. The caller frees it.
static char *image_of(const char *path) {
    const char *watch = getenv("MANGROVE_WATCH"), *image = getenv("MANGROVE_IMAGE");
    char full[PATH_MAX], *made;
    if (!watch || !image) return NULL;
    if (path[0] == '/') snprintf(full, sizeof full, "%s", path);
    else {
        char cwd[PATH_MAX / 2];
        if (!getcwd(cwd, sizeof cwd)) die("shim: getcwd");
        snprintf(full, sizeof full, "%s/%s", cwd, path);
    }
    size_t n = strlen(watch);
    if (strncmp(full, watch, n) || (full[n] != '/' && full[n] != 0)) return NULL;
    if (asprintf(&made, "%s%s", image, full + n) < 0) die("shim: asprintf");
    return made;
}

static void make_parents(const char *path) {
    char part[PATH_MAX];
    snprintf(part, sizeof part, "%s", path);
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(part, 0755) && errno != EEXIST) die("shim: mkdir");
        *slash = '/';
    }
}

// Applies the names that waited for a sync, in order.
static void apply(void) {
    int (*real_rename)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
    int (*real_unlink)(const char *) = dlsym(RTLD_NEXT, "unlink");
    for (int i = 0; i < queued; i++) {
        if (queue[i].to) {
            make_parents(queue[i].to);
            if (real_rename(queue[i].from, queue[i].to) && errno != ENOENT) die("shim: rename");
        } else if (real_unlink(queue[i].from) && errno != ENOENT) die("shim: unlink");
        free(queue[i].from);
        free(queue[i].to);
    }
    queued = 0;
}

// Copies the current bytes of `fd` to `target`, by a temporary name, so that a kill leaves the old copy or the new.
static void copy(int fd, const char *target) {
    int (*real_rename)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
    char source[64], temporary[PATH_MAX], buffer[1 << 16];
    snprintf(source, sizeof source, "/proc/self/fd/%d", fd);
    snprintf(temporary, sizeof temporary, "%s.shim-%lx", target, (unsigned long)pthread_self());
    make_parents(target);
    int in = open(source, O_RDONLY), out = open(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (in < 0 || out < 0) die("shim: open");
    for (ssize_t n; (n = read(in, buffer, sizeof buffer)) != 0;) {
        if (n < 0) die("shim: read");
        for (ssize_t done = 0, w; done < n; done += w)
            if ((w = write(out, buffer + done, n - done)) <= 0) die("shim: write");
    }
    close(in);
    close(out);
    if (real_rename(temporary, target)) die("shim: rename copy");
}

static void synced(int fd) {
    char link[64], path[PATH_MAX];
    struct stat status;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0 || fstat(fd, &status)) return;
    path[n] = 0;
    char *target = image_of(path);
    if (!target) return;
    pthread_mutex_lock(&mutex);
    apply();
    if (S_ISREG(status.st_mode) && status.st_nlink > 0) copy(fd, target);
    pthread_mutex_unlock(&mutex);
    free(target);
}

static void waits(const char *from, const char *to) {
    char *a = image_of(from), *b = to ? image_of(to) : NULL;
    if (!a || (to && !b)) return;
    pthread_mutex_lock(&mutex);
    if (queued == QUEUE) die("shim: queue");
    queue[queued].from = a;
    queue[queued++].to = b;
    pthread_mutex_unlock(&mutex);
}

int fsync(int fd) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fsync"), result = real(fd);
    if (!result) synced(fd);
    return result;
}

int fdatasync(int fd) {
    int (*real)(int) = dlsym(RTLD_NEXT, "fdatasync"), result = real(fd);
    if (!result) synced(fd);
    return result;
}

int rename(const char *from, const char *to) {
    int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "rename"), result = real(from, to);
    if (!result) waits(from, to);
    return result;
}

int unlink(const char *path) {
    int (*real)(const char *) = dlsym(RTLD_NEXT, "unlink"), result = real(path);
    if (!result) waits(path, NULL);
    return result;
}
