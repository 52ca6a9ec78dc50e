/* The yardstick of container.py: the system calls of one launch from plain C, nothing between them.
 *
 * Usage: plan IMAGE RELOCATIONS FLAGS WAITS [OFFSET GROUP [FILE=TEXT…]]…
 *
 * IMAGE is what spawner/image.py lays out for a plan, RELOCATIONS the offsets of its pointers (32 bits each), FLAGS those
 * of clone3, WAITS 1 where the parent waits for the child's end of a socket to close (a plan that does not suspend it).
 * Each GROUP is a directory that is made before the child, with the texts written into its files; its cgroup.procs is
 * opened and the descriptor put at OFFSET of the image (0: the group is what clone3 gets). All groups are removed at the
 * end. Reads numbers and answers each with as many times in nanoseconds, from before the groups until they are removed.
 * Built together with spawner/_child.c, whose loop runs the plan.
 */
#define _GNU_SOURCE
#include "../../../spawner/_child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define STACK_SIZE 65536
#define GROUPS 8

struct clone3_args {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};

struct group {
    size_t offset;
    const char *path;
    char **settings;
    int count;
};

static struct group groups[GROUPS];
static int group_count;

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "plan.c: %s: %s\n", what, strerror(errno));
    exit(1);
}

static char *read_whole(const char *path, size_t *size)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &status) < 0)
        give_up(path);
    char *bytes = malloc((size_t)status.st_size + 1);
    if (bytes == NULL || read(fd, bytes, (size_t)status.st_size) != status.st_size)
        give_up(path);
    close(fd);
    *size = (size_t)status.st_size;
    return bytes;
}

static int make_group(const struct group *group)
{
    char path[4096];

    if (mkdir(group->path, 0755) < 0)
        give_up(group->path);
    for (int i = 0; i < group->count; i++) {
        char *text = strchr(group->settings[i], '=');
        snprintf(path, sizeof path, "%s/%.*s", group->path, (int)(text - group->settings[i]), group->settings[i]);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, text + 1, strlen(text + 1)) < 0)
            give_up(path);
        close(fd);
    }
    if (group->offset == 0)
        return open(group->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    snprintf(path, sizeof path, "%s/cgroup.procs", group->path);
    return open(path, O_WRONLY | O_CLOEXEC);
}

static uint64_t launch(char *image, const char *template, size_t size, const uint32_t *pointers, size_t pointer_count,
                       uint64_t flags, int waits, char *stack)
{
    int fds[GROUPS], pidfd = -1, pair[2] = {-1, -1};
    const uint64_t all = ~(uint64_t)0;
    struct image *head = (struct image *)image;
    struct clone3_args args = {
        .flags = flags,
        .pidfd = (uintptr_t)&pidfd,
        .exit_signal = SIGCHLD,
        .stack = (uintptr_t)stack,
        .stack_size = STACK_SIZE,
    };
    uint64_t mask;
    siginfo_t info;
    struct rusage usage;

    uint64_t start = monotonic_ns();
    memcpy(image, template, size);
    for (size_t i = 0; i < pointer_count; i++)
        *(uint64_t *)(image + pointers[i]) += (uintptr_t)image;
    for (int i = 0; i < group_count; i++) {
        fds[i] = make_group(&groups[i]);
        if (fds[i] < 0)
            give_up(groups[i].path);
        if (groups[i].offset == 0)
            args.cgroup = (uint64_t)fds[i];
        else
            *(int64_t *)(image + groups[i].offset) = fds[i];
    }
    if (waits && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        give_up("socketpair");
    head->sync_fd = pair[1];
    const long raw[5] = {(long)&args, sizeof args, 0, 0, 0};
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &mask, 8);
    long pid = child_clone(SYS_clone3, raw, child_main, image);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, 8);
    if (pid < 0) {
        errno = (int)-pid;
        give_up("clone3");
    }
    for (int i = 0; i < group_count; i++)
        close(fds[i]);
    if (waits) {
        char word[4];
        close(pair[1]);
        if (read(pair[0], word, sizeof word) != 0)
            give_up("the child's word");
        close(pair[0]);
    }
    if (syscall(SYS_waitid, P_PIDFD, pidfd, &info, WEXITED, &usage) < 0)
        give_up("waitid");
    close(pidfd);
    for (int i = group_count - 1; i >= 0; i--)
        if (rmdir(groups[i].path) < 0)
            give_up(groups[i].path);
    uint64_t end = monotonic_ns();

    if (head->failed >= 0 || info.si_code != CLD_EXITED || info.si_status != 0) {
        fprintf(stderr, "plan.c: step %d failed, or the program: %d\n", head->failed, info.si_status);
        exit(1);
    }
    return end - start;
}

int main(int argc, char **argv)
{
    size_t size, pointer_bytes;

    if (argc < 5) {
        fprintf(stderr, "usage: %s IMAGE RELOCATIONS FLAGS WAITS [OFFSET GROUP [FILE=TEXT…]]…\n", argv[0]);
        return 2;
    }
    const char *template = read_whole(argv[1], &size);
    const uint32_t *pointers = (const uint32_t *)read_whole(argv[2], &pointer_bytes);
    for (int i = 5; i + 1 < argc && group_count < GROUPS; group_count++) {
        struct group *group = &groups[group_count];
        group->offset = strtoul(argv[i], NULL, 10);
        group->path = argv[i + 1];
        group->settings = argv + (i += 2);
        for (; i < argc && strchr(argv[i], '=') != NULL; i++)
            group->count++;
    }
    char *image = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (image == MAP_FAILED || stack == MAP_FAILED)
        give_up("mmap");
    int count;
    while (scanf("%d", &count) == 1) {
        for (int i = 0; i < count; i++)
            printf("%llu ", (unsigned long long)launch(image, template, size, pointers, pointer_bytes / 4,
                                                       strtoull(argv[3], NULL, 0), atoi(argv[4]), stack));
        printf("\n");
        fflush(stdout);
    }
    return 0;
}
