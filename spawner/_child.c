/* What runs in a newborn child: a loop over raw system calls.
 *
 * The child may share the parent's memory (CLONE_VM) and thread-local storage while the parent has other
 * threads running. So the code here calls nothing of libc (which would write errno, take locks or bind
 * symbols lazily), uses no stack protector (its canary lives in TLS, which CLONE_SETTLS may have taken
 * away), and leaves only through exit_group(2) or a successful execve(2).
 */
#include "_child.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

#if defined(__has_attribute)
#if __has_attribute(no_stack_protector)
#define BARE __attribute__((no_stack_protector))
#endif
#if __has_attribute(no_sanitize)
#define UNSANITISED __attribute__((no_sanitize("address", "undefined")))
#endif
#endif
#ifndef BARE
#define BARE
#endif
#ifndef UNSANITISED
#define UNSANITISED
#endif
#define CHILD_CODE BARE UNSANITISED

#if defined(__x86_64__)

CHILD_CODE static inline long raw_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

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

CHILD_CODE static inline long raw_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory", "cc");
    return x0;
}

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

#else
#error "spawner knows the system call conventions of x86_64 and aarch64"
#endif

CHILD_CODE uint64_t monotonic_ns(void)
{
    struct timespec now;
    raw_syscall(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&now, 0, 0, 0, 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

CHILD_CODE static _Noreturn void leave(int status)
{
    for (;;)
        raw_syscall(SYS_exit_group, status, 0, 0, 0, 0, 0);
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
    long sent, ready, got;
    do
        sent = raw_syscall(SYS_sendto, image->sync_fd, (long)&word, sizeof word, MSG_NOSIGNAL, 0, 0);
    while (sent == -EINTR);
    if (sent != (long)sizeof word)
        leave(EXIT_SETUP_FAILED);
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

CHILD_CODE _Noreturn void child_main(void *pointer)
{
    struct image *image = pointer;
    const struct step *steps = (const struct step *)((char *)image + image->steps_offset);
    uint64_t now = monotonic_ns();
    image->born_ns = now;

    for (uint32_t i = 0; i < image->step_count; i++) {
        const struct step *step = &steps[i];
        struct record *record = &image->records[i];
        if (passed_over(image, step)) {
            record->result = PASSED_OVER;
            continue;
        }
        if (i >= image->hold_at) {
            hold(image, i);
            now = monotonic_ns();
        }
        image->current = i;
        record->start_ns = now;
        long args[6];
        for (int a = 0; a < 6; a++)
            args[a] = argument_of(image, step, a);
        /* Published before execve lets go of this memory or a signal ends us. */
        atomic_signal_fence(memory_order_seq_cst);
        long result = i == image->inject_at
                          ? -(long)image->inject_errno
                          : raw_syscall(step->number, args[0], args[1], args[2], args[3], args[4], args[5]);
        if ((step->flags & STEP_FORKS) && result > 0) {
            record->result = result; /* the new pid, which only this side is told */
            leave(0);
        }
        now = monotonic_ns();
        record->end_ns = now;
        if (!(step->flags & STEP_FORKS) || result < 0)
            record->result = result;
        if (step->store_at != 0)
            *(int32_t *)((char *)image + step->store_at) = (int32_t)result;
        int refused = result < 0 && result >= -4095 && !tolerates(step, result);
        int unexpected = (step->flags & STEP_EXPECT_ZERO) && result > 0;
        if (refused || unexpected) {
            image->failed = (int32_t)i;
            leave(EXIT_SETUP_FAILED);
        }
    }
    leave(0);
}
