/* The program that stands above another one as process 1: it reaps orphans and passes signals on.
 *
 * It is not called from here: reaper.py wraps this section, machine code that may stand at any address, into an ELF
 * file of its own. So nothing here may need a relocation: no string, no constant in other sections, no libc, no
 * static data. What it is started with: argv[0] is the name to go by, argv[1] the pid of the program, as text; every
 * signal blocked; the program its child.
 */
#include "_reaper.h"
#include "_syscall.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define REAPER                                                                                                         \
    __attribute__((section("nsview_reaper"), optimize("no-tree-loop-distribute-patterns", "no-tree-vectorize")))
#define SIGSET_SIZE 8
#define LOST 125 /* the program was never ours to wait for: cannot happen, and is told apart if it does */

/* From the kernel's first instruction: the stack holds argc, argv. */
#if defined(__x86_64__)
__asm__(".pushsection nsview_reaper,\"ax\",@progbits\n"
        ".hidden nsview_reaper_entry\n"
        ".globl nsview_reaper_entry\n"
        "nsview_reaper_entry:\n\t"
        "mov %rsp, %rdi\n\t"
        "xor %ebp, %ebp\n\t"
        "and $-16, %rsp\n\t"
        "call nsview_reaper_main\n\t"
        "ud2\n"
        ".popsection");
#else
__asm__(".pushsection nsview_reaper,\"ax\",@progbits\n"
        ".hidden nsview_reaper_entry\n"
        ".globl nsview_reaper_entry\n"
        "nsview_reaper_entry:\n\t"
        "mov x0, sp\n\t"
        "mov x29, #0\n\t"
        "bl nsview_reaper_main\n\t"
        "brk #0\n"
        ".popsection");
#endif

extern const char nsview_reaper_entry[] __attribute__((visibility("hidden")));
extern const char __start_nsview_reaper[] __attribute__((visibility("hidden")));
extern const char __stop_nsview_reaper[] __attribute__((visibility("hidden")));

__attribute__((always_inline)) CHILD_CODE static inline void leave(long status)
{
    for (;;)
        raw_syscall(SYS_exit_group, status, 0, 0, 0, 0, 0);
}

/* Whether a zombie ever executed a program: setpgid(2) refuses a child that has (EACCES), or that has gone to a
 * session of its own (EPERM), which it could only do as a program. Needs no /proc. */
__attribute__((always_inline)) CHILD_CODE static inline int executed(long pid)
{
    return raw_syscall(SYS_setpgid, pid, pid, 0, 0, 0, 0) != 0;
}

/* "nsview-noexec", said by the name of our own zombie: the program was killed before it began. The words go through
 * registers, for a constant would be put elsewhere. */
__attribute__((always_inline)) CHILD_CODE static inline void say_never_executed(void)
{
    uint64_t name[2], low = 0x6e2d77656976736e, high = 0x000000636578656f;
    __asm__("" : "+r"(low), "+r"(high));
    name[0] = low;
    name[1] = high;
    raw_syscall(SYS_prctl, PR_SET_NAME, (long)name, 0, 0, 0, 0);
}

/* Reap whoever has ended; end with the program. Looked at before it is reaped: executed() needs the zombie. */
__attribute__((always_inline)) CHILD_CODE static inline void reap(long program)
{
    for (;;) {
        siginfo_t info;
        int status = 0;
        info.si_pid = 0;
        long answer = raw_syscall(SYS_waitid, P_ALL, 0, (long)&info, WEXITED | WNOHANG | WNOWAIT | __WALL, 0, 0);
        if (answer < 0)
            leave(LOST);
        long pid = info.si_pid;
        if (pid == 0)
            return;
        if (pid == program && info.si_code != CLD_EXITED && !executed(pid))
            say_never_executed();
        raw_syscall(SYS_wait4, pid, (long)&status, __WALL, 0, 0, 0);
        if (pid == program)
            leave((status & 0x7f) == 0 ? status >> 8 & 0xff : 128 + (status & 0x7f));
    }
}

/* A signal that a process sent (si_code <= 0) is meant for the program; one of the kernel's, such as the terminal's,
 * which has told the program too, is not. What was queued with it goes along. */
__attribute__((always_inline)) CHILD_CODE static inline void pass_on(long program, long number, siginfo_t *info)
{
    if (info->si_code == SI_QUEUE)
        raw_syscall(SYS_rt_sigqueueinfo, program, number, (long)info, 0, 0, 0);
    else if (info->si_code <= 0)
        raw_syscall(SYS_kill, program, number, 0, 0, 0, 0);
}

REAPER CHILD_CODE __attribute__((used, visibility("hidden"))) void nsview_reaper_main(const long *stack)
{
    const char *name = (const char *)stack[1], *digit = (const char *)stack[2];
    const uint64_t every = ~(uint64_t)0;
    long program = 0;
    for (; *digit != 0; digit++)
        program = program * 10 + (*digit - '0');
    if (program <= 0)
        leave(LOST); /* kill(0) and kill(-1) would reach others */
    raw_syscall(SYS_prctl, PR_SET_NAME, (long)name, 0, 0, 0, 0);
    /* A pipe that stayed open here would never end for its reader. */
    if (raw_syscall(SYS_close_range, 0, ~0u, 0, 0, 0, 0) < 0)
        for (long fd = 0; fd < 1024; fd++)
            raw_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
    for (;;) {
        siginfo_t info;
        reap(program);
        long number = raw_syscall(SYS_rt_sigtimedwait, (long)&every, (long)&info, 0, SIGSET_SIZE, 0, 0);
        if (number > 0)
            pass_on(program, number, &info);
    }
}

PyObject *reaper_code(PyObject *self, PyObject *args)
{
    (void)self;
    (void)args;
    return Py_BuildValue("y#n", __start_nsview_reaper, (Py_ssize_t)(__stop_nsview_reaper - __start_nsview_reaper),
                         (Py_ssize_t)(nsview_reaper_entry - __start_nsview_reaper));
}
