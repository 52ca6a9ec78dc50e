/* A system call without libc: no errno, no cancellation, nothing of thread-local storage. */
#ifndef SPAWNER_SYSCALL_H
#define SPAWNER_SYSCALL_H

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

__attribute__((always_inline)) CHILD_CODE static inline long raw_syscall(long number, long a, long b, long c, long d,
                                                                         long e, long f)
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

#elif defined(__aarch64__)

__attribute__((always_inline)) CHILD_CODE static inline long raw_syscall(long number, long a, long b, long c, long d,
                                                                         long e, long f)
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

#else
#error "spawner knows the system call conventions of x86_64 and aarch64"
#endif

#endif
