/* What runs in a newborn child: a loop over raw system calls.
 *
 * The child may share the parent's memory (CLONE_VM) and thread-local storage while the parent has other
 * threads running. So the code here calls nothing of libc (which would write errno, take locks or bind
 * symbols lazily), uses no stack protector (its canary lives in TLS, which CLONE_SETTLS may have taken
 * away), and leaves only through exit(2) or a successful execve(2).
 */
#include "_child.h"
#include "_syscall.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

#if defined(__x86_64__)

/* In the child: step over the red zone of the caller's frame (vfork leaves us on the parent's stack), align,
 * and call. The parent falls through. noinline keeps the caller's locals out of these registers. */
__attribute__((noinline)) long child_clone(long number, const long args[5], void (*entry)(void *), void *argument)
{
    register long r10 __asm__("r10") = args[3];
    register long r8 __asm__("r8") = args[4];
    register void (*r12)(void *) __asm__("r12") = entry;
    register void *r13 __asm__("r13") = argument;
    long result;
    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "lea -128(%%rsp), %%rsp\n\t"
                     "and $-16, %%rsp\n\t"
                     "mov %%r13, %%rdi\n\t"
                     "call *%%r12\n\t"
                     "ud2\n"
                     "1:"
                     : "=a"(result)
                     : "a"(number), "D"(args[0]), "S"(args[1]), "d"(args[2]), "r"(r10), "r"(r8), "r"(r12), "r"(r13)
                     : "rcx", "r11", "memory", "cc");
    return result;
}

#elif defined(__aarch64__)

__attribute__((noinline)) long child_clone(long number, const long args[5], void (*entry)(void *), void *argument)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = args[0];
    register long x1 __asm__("x1") = args[1];
    register long x2 __asm__("x2") = args[2];
    register long x3 __asm__("x3") = args[3];
    register long x4 __asm__("x4") = args[4];
    register void (*x19)(void *) __asm__("x19") = entry;
    register void *x20 __asm__("x20") = argument;
    __asm__ volatile("svc #0\n\t"
                     "cbnz x0, 1f\n\t"
                     "mov x29, #0\n\t"
                     "mov x0, x20\n\t"
                     "blr x19\n\t"
                     "brk #0\n"
                     "1:"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x19), "r"(x20)
                     : "x30", "memory", "cc");
    return x0;
}

#endif

CHILD_CODE uint64_t monotonic_ns(void)
{
    struct timespec now = {0, 0};
    raw_syscall(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&now, 0, 0, 0, 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* exit(2), not exit_group(2), which would end our parent where we are a thread of it. A seccomp filter may refuse even
 * that: then by a fault, which ends us though every signal is blocked. */
CHILD_CODE _Noreturn void leave(int status)
{
    raw_syscall(SYS_exit, status, 0, 0, 0, 0, 0);
    __builtin_trap();
}

/* Say to the parent which step we stand before, or that none is left. */
CHILD_CODE static void tell(struct image *image, uint32_t word)
{
    long sent;
    do
        sent = raw_syscall(SYS_sendto, image->sync_fd, (long)&word, sizeof word, MSG_NOSIGNAL, 0, 0);
    while (sent == -EINTR);
    if (sent != (long)sizeof word)
        leave(EXIT_SETUP_FAILED);
}

/* Tell the parent which step we stand before and wait for its word, the index to hold at next. That the parent
 * is gone is seen by its pidfd: end of file would not come while we, or a sibling that is held too, have a copy
 * of its end. Signals may come once the mask is restored, so interrupted calls are repeated. */
CHILD_CODE static void hold(struct image *image, uint32_t index)
{
    uint32_t word = index;
    struct pollfd waits[2];
    waits[0].fd = image->sync_fd;
    waits[1].fd = image->parent_pidfd;
    waits[0].events = waits[1].events = POLLIN;
    long ready, got;
    tell(image, word);
    do
        ready = raw_syscall(SYS_ppoll, (long)waits, 2, 0, 0, 0, 0);
    while (ready == -EINTR);
    if (ready <= 0 || waits[0].revents == 0)
        leave(EXIT_SETUP_FAILED);
    do
        got = raw_syscall(SYS_recvfrom, image->sync_fd, (long)&word, sizeof word, 0, 0, 0);
    while (got == -EINTR);
    if (got != (long)sizeof word)
        leave(EXIT_SETUP_FAILED);
    image->hold_at = word;
}

CHILD_CODE static long argument_of(struct image *image, const struct step *step, int position)
{
    uint64_t value = step->args[position];
    switch (step->kinds[position]) {
    case ARG_OFFSET:
        return (long)((char *)image + value);
    case ARG_RESULT:
        return (long)image->records[value].result;
    default:
        return (long)value;
    }
}

CHILD_CODE static int tolerates(const struct step *step, long result)
{
    if (step->flags & STEP_TOLERATE_ALL)
        return 1;
    for (int i = 0; i < 4; i++)
        if (step->tolerated[i] != 0 && step->tolerated[i] == -result)
            return 1;
    return 0;
}

/* A step that was passed over counts as failed. */
CHILD_CODE static int passed_over(const struct image *image, const struct step *step)
{
    if (step->guard > 0)
        return image->records[step->guard - 1].result < 0;
    return step->guard < 0 && image->records[-(step->guard + 1)].result >= 0;
}

/* Use memory below our stack pointer, a page after the other: a guard page below the stack is met. */
__attribute__((noinline)) CHILD_CODE static long dig(long bytes)
{
    volatile char *here = __builtin_frame_address(0);
    for (long depth = 1024; depth < bytes; depth += 1024)
        here[-depth] = 0;
    return bytes;
}

CHILD_CODE static long perform(const struct step *step, const long args[6])
{
    switch (step->number) {
    case CALL_ENTRY:
        return 0;
    case CALL_STORE:
        *(volatile uint64_t *)args[0] = (uint64_t)args[1];
        return 0;
    case CALL_DIG:
        return dig(args[0]);
    default:
        return raw_syscall(step->number, args[0], args[1], args[2], args[3], args[4], args[5]);
    }
}

CHILD_CODE static void store(struct image *image, const struct step *step, long result)
{
    char *place = (char *)image + step->store_at;
    if (step->store_size == 0) {
        *(int32_t *)place = (int32_t)result;
        return;
    }
    int digits = 1;
    for (long rest = result / 10; rest > 0; rest /= 10)
        digits++;
    if (result < 0 || (uint32_t)digits >= step->store_size)
        return;
    place[digits] = 0;
    for (; digits > 0; result /= 10)
        place[--digits] = (char)('0' + result % 10);
}

CHILD_CODE static void run(struct image *image, uint32_t from);

/* The new process of a STEP_INIT, which dies with the old one. Once that has executed the reaper, or has ended, the
 * kernel clears the word that set_tid_address(2) named: from then on the image is ours alone. */
CHILD_CODE static void below_main(void *pointer)
{
    struct image *image = pointer;
    const struct step *steps = (const struct step *)((char *)image + image->steps_offset);
    uint32_t from = 0;
    while (from < image->step_count && !(steps[from].flags & STEP_LAST))
        from++;
    raw_syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0, 0);
    if (raw_syscall(SYS_getppid, 0, 0, 0, 0, 0, 0) != image->other)
        leave(EXIT_SETUP_FAILED); /* it had died before, and nobody would tell us */
    while (__atomic_load_n(&image->above, __ATOMIC_ACQUIRE) != 0)
        raw_syscall(SYS_futex, (long)&image->above, FUTEX_WAIT, 1, 0, 0, 0);
    if (image->failed >= 0 || image->records[from].start_ns == 0)
        leave(EXIT_SETUP_FAILED); /* it has ended: at a step, or killed before its last */
    run(image, from + 1);
    leave(0);
}

/* A second process in the same memory, on a stack of its own there. */
CHILD_CODE static long divide(struct image *image, const struct step *step, const long args[6])
{
    const long given[5] = {args[0], args[1] + STACK_BELOW, args[2], args[3], args[4]};
    image->other = (int32_t)raw_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0);
    raw_syscall(SYS_set_tid_address, (long)&image->above, 0, 0, 0, 0, 0);
    return child_clone(step->number, given, below_main, image);
}

/* Run the steps from one on. Returns when the last is over, or at CALL_ENTRY. */
CHILD_CODE static void run(struct image *image, uint32_t from)
{
    const struct step *steps = (const struct step *)((char *)image + image->steps_offset);
    uint64_t now = monotonic_ns();
    int quiet = 0; /* then no clock is read: what follows seems to take no time */

    for (uint32_t i = from; i < image->step_count; i++) {
        const struct step *step = &steps[i];
        struct record *record = &image->records[i];
        if (passed_over(image, step)) {
            record->result = PASSED_OVER;
            continue;
        }
        if (i >= image->hold_at && !quiet) {
            hold(image, i);
            now = monotonic_ns();
        }
        quiet |= step->flags & STEP_QUIET;
        image->current = i;
        record->start_ns = now;
        long args[6];
        for (int a = 0; a < 6; a++)
            args[a] = argument_of(image, step, a);
        /* Published before execve lets go of this memory or a signal ends us. */
        atomic_signal_fence(memory_order_seq_cst);
        long result;
        if (i == image->inject_at)
            result = -(long)image->inject_errno;
        else if (step->flags & STEP_INIT)
            result = divide(image, step, args);
        else
            result = perform(step, args);
        if ((step->flags & STEP_FORKS) && result > 0) {
            record->result = result; /* the new pid, which only this side is told */
            leave(0);
        }
        if (!quiet)
            now = monotonic_ns();
        record->end_ns = now;
        if (!(step->flags & STEP_FORKS) || result < 0)
            record->result = result;
        if (step->store_at != 0)
            store(image, step, result);
        int refused = result < 0 && result >= -4095 && !tolerates(step, result);
        int unexpected = (step->flags & STEP_EXPECT_ZERO) && result > 0;
        if (refused || unexpected) {
            image->failed = (int32_t)i;
            leave(EXIT_SETUP_FAILED);
        }
    }
    if (image->options & OPTION_TELL_END)
        tell(image, image->step_count);
}

CHILD_CODE void run_plan(struct image *image)
{
    image->born_ns = monotonic_ns();
    run(image, 0);
}

CHILD_CODE _Noreturn void child_main(void *pointer)
{
    run_plan(pointer);
    leave(0);
}
