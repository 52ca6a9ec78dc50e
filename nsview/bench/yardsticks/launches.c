/* The yardstick of launches.py: the system calls of the engine's plans, written out in plain C.
 *
 * Usage: launches PROGRAM. Reads lines "KIND COUNT" (KIND: none, or six for six new namespaces) and answers each
 * with COUNT times in nanoseconds, each from before the signal mask is changed until the child is reaped; a COUNT of
 * 0 launches PROGRAM with "namespaces", lets it print and then prints a line of a dot. Built together with spawner/_child.c, of which it takes only the clone stub and the clock.
 */
#define _GNU_SOURCE
#include "../../../spawner/_child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define STACK_SIZE 65536
#define SIX (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWUSER | CLONE_NEWCGROUP)

extern char **environ;

struct clone3_args {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};

struct job {
    const char *program;
    char *argv[3];
    int six;
    char uid_map[32], gid_map[32];
    uint64_t mask; /* the caller's */
    char links[8][64];
    const char *failed;
};

static _Noreturn void give_up(struct job *job, const char *call)
{
    job->failed = call;
    syscall(SYS_exit_group, EXIT_SETUP_FAILED);
    __builtin_unreachable();
}

static void write_file(struct job *job, const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || close(fd) < 0)
        give_up(job, path);
}

static _Noreturn void child(void *argument)
{
    static const char *const LINKS[8] = {"mnt", "net", "pid", "user", "uts", "ipc", "cgroup", "time_for_children"};
    struct job *job = argument;
    int ns = open("/proc/self/ns", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (ns < 0)
        give_up(job, "open /proc/self/ns");
    if (job->six) {
        write_file(job, "/proc/self/setgroups", "deny");
        write_file(job, "/proc/self/uid_map", job->uid_map);
        write_file(job, "/proc/self/gid_map", job->gid_map);
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
            give_up(job, "mount");
    }
    for (int i = 0; i < 8; i++)
        if (readlinkat(ns, LINKS[i], job->links[i], sizeof job->links[i]) < 0)
            give_up(job, "readlinkat");
    if (syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
        give_up(job, "close_range");
    const uint64_t default_action[4] = {0};
    syscall(SYS_rt_sigaction, SIGPIPE, default_action, NULL, 8);
    syscall(SYS_rt_sigaction, SIGXFSZ, default_action, NULL, 8);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &job->mask, NULL, 8);
    execve(job->program, job->argv, environ);
    give_up(job, "execve");
}

static uint64_t spawn_and_wait(struct job *job, char *stack)
{
    int pidfd = -1;
    const uint64_t all = ~(uint64_t)0;
    struct clone3_args args = {
        .flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | CLONE_CLEAR_SIGHAND | (job->six ? SIX : 0),
        .pidfd = (uintptr_t)&pidfd,
        .exit_signal = SIGCHLD,
        .stack = (uintptr_t)stack,
        .stack_size = STACK_SIZE,
    };
    const long raw[5] = {(long)&args, sizeof args, 0, 0, 0};
    siginfo_t info;
    struct rusage usage;

    uint64_t start = monotonic_ns();
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &job->mask, 8);
    long pid = child_clone(SYS_clone3, raw, child, job);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &job->mask, NULL, 8);
    if (pid < 0) {
        fprintf(stderr, "clone3: %s\n", strerror((int)-pid));
        exit(1);
    }
    if (syscall(SYS_waitid, P_PIDFD, pidfd, &info, WEXITED, &usage) < 0) {
        perror("waitid");
        exit(1);
    }
    close(pidfd);
    uint64_t end = monotonic_ns();

    if (job->failed != NULL || info.si_code != CLD_EXITED || info.si_status != 0) {
        fprintf(stderr, "the child failed at %s\n", job->failed == NULL ? "its program" : job->failed);
        exit(1);
    }
    return end - start;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s PROGRAM\n", argv[0]);
        return 2;
    }
    struct job job = {.program = argv[1], .argv = {argv[1]}};
    snprintf(job.uid_map, sizeof job.uid_map, "0 %u 1\n", geteuid());
    snprintf(job.gid_map, sizeof job.gid_map, "0 %u 1\n", getegid());
    char *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    char kind[16];
    int count;
    while (scanf("%15s %d", kind, &count) == 2) {
        job.six = strcmp(kind, "six") == 0;
        job.argv[1] = count == 0 ? "namespaces" : NULL;
        for (int i = 0; i < count; i++)
            printf("%llu ", (unsigned long long)spawn_and_wait(&job, stack));
        if (count == 0)
            spawn_and_wait(&job, stack);
        printf(count == 0 ? ".\n" : "\n");
        fflush(stdout);
    }
    return 0;
}
