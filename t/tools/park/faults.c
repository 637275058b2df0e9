/* faults.c - preloaded into httpd: descriptors that cannot be watched.
 *
 * What the kernel keeps in a set of its own, such as an epoll descriptor or a
 * timer, has a name: "eventpoll", "timerfd". When somebody wants one of them
 * watched, the file of that name in the directory LLMUX_FAULTS is asked, a
 * letter for each time: '.' lets it be, 'm' says ENOMEM, 's' says ENOSPC. A
 * letter that has been heeded becomes a capital, and '.' a comma. Behind the
 * last one nothing fails. And who closes what is not open is written down in
 * the file "bad": the next time it may be somebody's. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <unistd.h>

static int open_file(const char *name, int flags)
{
    const char *dir = getenv("LLMUX_FAULTS");
    char path[512];
    int n;

    if (!dir) {
        return -1;
    }
    n = snprintf(path, sizeof(path), "%s/%s", dir, name);
    return n > 0 && n < (int)sizeof(path) ? open(path, flags | O_CLOEXEC)
                                          : -1;
}

static int close_really(int fd)
{
    static int (*real)(int);

    if (!real) {
        real = (int (*)(int))dlsym(RTLD_NEXT, "close");
    }
    return real(fd);
}

/* @return the errno that it is to fail with */
static int heed(char *letter)
{
    switch (*letter) {
    case 'm':
        *letter = 'M';
        return ENOMEM;
    case 's':
        *letter = 'S';
        return ENOSPC;
    default:
        *letter = ',';
        return 0;
    }
}

/* The next letter that has not been heeded. */
static int ask(int fd)
{
    char orders[256];
    ssize_t n = pread(fd, orders, sizeof(orders), 0);
    ssize_t at = 0;
    int err;

    while (at < n && !strchr(".ms", orders[at])) {
        at++;
    }
    if (at >= n) {
        return 0;
    }
    err = heed(orders + at);
    return pwrite(fd, orders + at, 1, at) == 1 ? err : 0;
}

/* "anon_inode:[eventpoll]" is called "eventpoll". */
static int name_of(int fd, char *name, size_t size)
{
    char path[64], link[64];
    ssize_t n;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    n = readlink(path, link, sizeof(link) - 1);
    if (n < 14 || strncmp(link, "anon_inode:[", 12)) {
        return 0;
    }
    link[n - 1] = 0;
    return snprintf(name, size, "%s", link + 12) < (int)size;
}

static int verdict(int fd)
{
    char name[64];
    int file, err;

    if (!name_of(fd, name, sizeof(name))) {
        return 0;
    }
    file = open_file(name, O_RDWR);
    if (file < 0) {
        return 0;
    }
    flock(file, LOCK_EX);
    err = ask(file);
    close_really(file);
    return err;
}

int epoll_ctl(int set, int op, int fd, struct epoll_event *event)
{
    static int (*real)(int, int, int, struct epoll_event *);
    int err = op == EPOLL_CTL_ADD ? verdict(fd) : 0;

    if (err) {
        errno = err;
        return -1;
    }
    if (!real) {
        real = (int (*)(int, int, int, struct epoll_event *))
            dlsym(RTLD_NEXT, "epoll_ctl");
    }
    return real(set, op, fd, event);
}

static void write_down(int fd)
{
    int file = open_file("bad", O_WRONLY | O_APPEND);
    char line[32];
    int n = snprintf(line, sizeof(line), "%d\n", fd);

    if (file >= 0) {
        if (write(file, line, (size_t)n) != n) {
            abort();
        }
        close_really(file);
    }
}

int close(int fd)
{
    int rc = close_really(fd);

    if (rc != 0 && errno == EBADF) {
        write_down(fd);
        errno = EBADF;
    }
    return rc;
}
