"""The parts of the C program that are the same for every plan."""

HEAD = """\
/* {why}
 * Build and run: gcc -Wall -Werror -o launch launch.c && ./launch */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static long result[{count}]; /* what each step returned; -errno where it failed */

static long checked(long value)
{{
    return value == -1 ? -(long)errno : value;
}}

/* End at once, with the status that says: it is not the program's. */
__attribute__((noreturn)) static void stop(const char *what)
{{
    perror(what);
    _exit(125);
}}

__attribute__((unused)) static void must(int index, const char *label, int be_zero)
{{
    if (result[index] < 0)
        errno = (int)-result[index];
    else if (be_zero && result[index] > 0)
        errno = ESRCH;
    else
        return;
    stop(label);
}}

__attribute__((unused)) static int opened(const char *path, int how)
{{
    int fd = open(path, how | O_CLOEXEC);
    if (fd < 0)
        stop(path);
    return fd;
}}
"""

LEAVE = """
static int second[2];

/* The child's own child goes on in its place; say who that is. */
__attribute__((noreturn)) static void leave_to(long pid)
{
    if (write(second[1], &pid, sizeof pid) != sizeof pid)
        _exit(125);
    _exit(0);
}

static pid_t pid_of_second(pid_t first)
{
    long pid = -1;
    int status;
    if (first < 0)
        stop("fork");
    close(second[1]);
    if (read(second[0], &pid, sizeof pid) != sizeof pid)
        pid = -1;
    waitpid(first, &status, 0);
    if (pid < 0)
        exit(125);
    return (pid_t)pid;
}"""

SYNC = """\
static int the_sync[2]; /* the parent's end, the child's end */

static void open_sync(void)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, the_sync) != 0)
        stop("socketpair");
}

/* In the child: say that we wait, and wait. */
static void wait_for_parent(void)
{
    char word = 0;
    if (the_sync[0] >= 0)
        close(the_sync[0]); /* or the end of the parent would not be the end of the line */
    the_sync[0] = -1;
    if (write(the_sync[1], &word, 1) != 1 || read(the_sync[1], &word, 1) != 1)
        _exit(125);
}

/* In the parent: 1 once the child waits, 0 when it is gone. */
static int child_waits(void)
{
    char word;
    return read(the_sync[0], &word, 1) == 1;
}

static void go_on(void)
{
    if (write(the_sync[0], "", 1) != 1)
        stop("the child is gone");
}

__attribute__((unused)) static void write_of(pid_t pid, const char *file, const char *text)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    int fd = opened(path, O_WRONLY);
    if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        stop(path);
    close(fd);
}

__attribute__((unused)) static void run_helper(const char *program, pid_t pid, const char *map)
{
    char line[8192];
    snprintf(line, sizeof line, "%s %d %s", program, (int)pid, map);
    if (system(line) != 0)
        stop(line);
}

__attribute__((unused)) static void keep(pid_t pid, const char *link, const char *path)
{
    char source[64];
    snprintf(source, sizeof source, "/proc/%d/ns/%s", (int)pid, link);
    close(opened(path, O_RDONLY | O_CREAT));
    if (mount(source, path, "", MS_BIND, NULL) != 0)
        stop(path);
}
"""

REAPER = """\
/* The init above the program: pass signals on, reap whatever ends, end as the program does. */
__attribute__((noreturn)) static void reap(pid_t program)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    for (;;) {
        int number = sigwaitinfo(&all, NULL);
        if (number > 0 && number != SIGCHLD)
            kill(program, number);
        pid_t pid;
        int status;
        while ((pid = waitpid(-1, &status, WNOHANG | __WALL)) > 0)
            if (pid == program)
                _exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
    }
}
"""

DIVIDE = """\
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    result[{index}] = checked(fork());
    must({index}, "fork below init", 0);
    if (result[{index}] > 0)
        reap((pid_t)result[{index}]);
    sigprocmask(SIG_SETMASK, &before, NULL);
    syscall(SYS_prctl, 1L /* PR_SET_PDEATHSIG */, (long)SIGKILL, 0L, 0L, 0L);"""

CHILD = """\
static int in_child(void *unused)
{{
    (void)unused;
    for (size_t i = 0; i < sizeof result / sizeof *result; i++)
        result[i] = -ECANCELED; /* passed over, so far */
{body}
    _exit(125);
}}
"""

BY_CLONE3 = """\
    static int pidfd, parent_tid, child_tid;
    struct clone_args args = {{
        .flags = {mask}, /* {shown} */
        .exit_signal = {signal},
        .pidfd = (uint64_t)(uintptr_t)&pidfd,
        .parent_tid = (uint64_t)(uintptr_t)&parent_tid,
        .child_tid = (uint64_t)(uintptr_t)&child_tid,
    }};
    pid_t child = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    if (child == 0)
        in_child(NULL);"""

BY_CLONE = """\
    static int parent_tid, child_tid;
    /* {shown} */
    pid_t child = (pid_t)syscall(SYS_clone, {mask} | {signal}, 0L, &parent_tid, &child_tid, 0L);
    if (child == 0)
        in_child(NULL);"""

BY_CLONE_ON_STACK = """\
    static int parent_tid, child_tid;
    static char stack[1 << 20] __attribute__((aligned(16))); /* the memory is shared: a stack of its own */
    extern int clone(int (*)(void *), void *, int, void *, ...);
    /* {shown} */
    pid_t child = clone(in_child, stack + sizeof stack, (int)({mask} | {signal}), NULL,
                        &parent_tid, NULL, &child_tid);"""

MAIN = """\
int main(void)
{{
    syscall(SYS_rt_sigprocmask, 0L, NULL, &the_sigmask, 8L);
    the_parent_pidfd = (int)syscall(SYS_pidfd_open, (long)getpid(), 0L);
{before}{birth}
    if (child < 0)
        stop("the child");
{sync}{second}{meanwhile}    int status;
    while (waitpid(child, &status, __WALL) < 0)
        if (errno != EINTR)
            stop("waitpid");
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}}
"""

POSIX_SPAWN = """\
/* posix_spawn(3): the C library makes the child.
 * Build and run: gcc -Wall -Werror -o launch launch.c && ./launch */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{{
    char *const argv[] = {{
{argv}        NULL,
    }};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t defaults;
    pid_t child;
    int status;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    sigaddset(&defaults, SIGXFSZ);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, {flags});
{null}{environment}    errno = posix_spawnp(&child, {program}, &actions, &attributes, argv, environ);
    if (errno != 0) {{
        perror("posix_spawnp");
        return 125;
    }}
    if (waitpid(child, &status, 0) < 0)
        return 125;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}}
"""
