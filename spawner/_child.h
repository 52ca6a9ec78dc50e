/* The image of one launch: what the parent prepares and the child runs.
 *
 * One MAP_SHARED mapping holds a header, a record for each step, the steps, and the arena that their
 * arguments point into. Shared, because it is the only memory both see when the child was forked without
 * CLONE_VM. The Python side (image.py) lays it out; the sizes are checked against it at import.
 */
#ifndef SPAWNER_CHILD_H
#define SPAWNER_CHILD_H

#include <stddef.h>
#include <stdint.h>

#define NEVER UINT32_MAX
#define PASSED_OVER (-125) /* -ECANCELED, which no system call of a plan returns */

enum argument_kind {
    ARG_VALUE = 0,  /* the number itself */
    ARG_OFFSET = 1, /* an address: bytes from the start of the image */
    ARG_RESULT = 2, /* what an earlier step returned */
};

enum step_flag {
    STEP_FORKS = 1,         /* returns twice; where it returns non-zero the process ends (runc's stages) */
    STEP_EXPECT_ZERO = 2,   /* a positive result is a failure too */
    STEP_TOLERATE_ALL = 4,  /* no errno ends the plan: the result says "unknown" */
    STEP_INIT = 8,          /* divides: the old process goes on to STEP_LAST, the new one behind that */
    STEP_LAST = 16,         /* the old process's last step, by which it becomes the reaper */
    STEP_QUIET = 32,        /* from here on no call but the steps' own, for a filter would judge it */
};

/* Calls that no kernel has: what else a step can do. */
enum pseudo_call {
    CALL_ENTRY = 0x7ff00000, /* the plan is over, and the caller of run_plan goes on in this process */
    CALL_STORE = 0x7ff00001, /* store(address, value): write 64 bits to memory */
    CALL_DIG = 0x7ff00002,   /* dig(bytes): use so much of the stack */
};

enum option {
    OPTION_TELL_END = 1, /* when the plan is over say so by a word, the number of steps */
};

/* What the new process of a STEP_INIT runs on, the memory that its second argument points to. */
#define STACK_BELOW 8192

struct step {
    uint64_t args[6];
    uint32_t number; /* of the system call */
    uint8_t kinds[6];
    uint8_t flags;
    uint8_t reserved;
    int16_t tolerated[4]; /* errnos after which the plan goes on; 0 for none */
    int32_t guard;        /* N+1: only if step N succeeded; -(N+1): only if it failed; 0: always */
    uint32_t store_at;    /* where in the image the result belongs; 0: nowhere */
    uint32_t store_size;  /* 0: as 32 bits; else as decimal text of less than so many bytes */
};

struct record {
    uint64_t start_ns; /* CLOCK_MONOTONIC; 0: never begun */
    uint64_t end_ns;   /* 0: never returned */
    int64_t result;    /* as the kernel returns it: -errno; PASSED_OVER where a guard said so */
};

struct image {
    /* written by the parent before the child is born */
    uint32_t step_count;
    uint32_t steps_offset;
    int32_t sync_fd;      /* the child's end of a SOCK_SEQPACKET pair, or -1: then no holding */
    int32_t parent_pidfd; /* readable once the parent is dead, for a child that is held; or -1 */
    uint32_t hold_at;     /* wait for a word before the first step of this index or above */
    uint32_t inject_at;   /* let this step "return" inject_errno instead of running it (tests) */
    int32_t inject_errno;
    /* written by the child */
    uint32_t current;
    int32_t failed;       /* index of the step that ended the plan, or -1 */
    uint32_t options;     /* enum option, by the parent */
    uint64_t born_ns;
    int32_t parent_tid;   /* where CLONE_PARENT_SETTID writes */
    int32_t child_tid;    /* where CLONE_CHILD_SETTID and CLEARTID write */
    uint32_t above;       /* 1 until the old process of a STEP_INIT has let go of this memory: the kernel clears it */
    int32_t other;        /* the old one's pid; or what the process in between of native_fork was told, -errno or a pid */
    struct record records[];
};

#define EXIT_SETUP_FAILED 125

/* Run the plan in the image `argument` points to. Never returns. Uses nothing of libc and writes nowhere but
 * the image and its own stack, so it may run in a child that shares the parent's memory. */
_Noreturn void child_main(void *argument);

/* The same for a process with memory of its own: returns at CALL_ENTRY, else ends the process. */
void run_plan(struct image *image);

/* End the calling thread, which is all of a child but of one made with CLONE_THREAD. */
_Noreturn void leave(int status);

/* Make a child by system call `number` and run entry(argument) in it; the parent gets what the call
 * returned (-errno on failure). The arguments are passed in the kernel's order. */
long child_clone(long number, const long args[5], void (*entry)(void *), void *argument);

uint64_t monotonic_ns(void);

#endif
