/* Making the child: around an image, by the asked call and with exactly the asked flags.
 *
 * The GIL is released before the child is made and stays so until the call is over: under CLONE_VFORK that is when the
 * child has exec'ed or died.
 */
#define PY_SSIZE_T_CLEAN
#include "_birth.h"

#include "_child.h"
#include "_syscall.h"

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define KERNEL_SIGSET_SIZE 8
#define STACK_CAPSULE "spawner._native.stack"

/* The kernel's struct clone_args, version 2 (88 bytes); older headers lack the last members. */
struct clone3_args {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};

enum method { METHOD_CLONE3, METHOD_CLONE, METHOD_FORK, METHOD_VFORK };

/* ---- the stack of a child that shares our memory ---- */

struct stack {
    char *base; /* the guard page */
    size_t size;
};

/* One stack is kept for the next launch: mapping it anew would cost three system calls and the page faults. */
static _Atomic(char *) spare;
#define SPARE_USABLE (64 * 1024) /* what birth.py asks for */

static size_t stack_size_for(size_t usable)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return ((usable + page - 1) / page + 1) * page;
}

static void release_stack(struct stack *stack)
{
    char *none = NULL;
    if (stack->base != NULL && (stack->size != stack_size_for(SPARE_USABLE) ||
                                !atomic_compare_exchange_strong(&spare, &none, stack->base)))
        munmap(stack->base, stack->size);
    stack->base = NULL;
}

static int map_stack(struct stack *stack, size_t usable)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    stack->size = stack_size_for(usable);
    if (usable == SPARE_USABLE && (stack->base = atomic_exchange(&spare, NULL)) != NULL)
        return 0;
    void *base = mmap(NULL, stack->size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return -errno;
    stack->base = base;
    if (mprotect(base, page, PROT_NONE) < 0) {
        int error = errno;
        munmap(base, stack->size);
        stack->base = NULL;
        return -error;
    }
    return 0;
}

static void drop_stack_capsule(PyObject *capsule)
{
    struct stack *stack = PyCapsule_GetPointer(capsule, STACK_CAPSULE);
    if (stack != NULL) {
        release_stack(stack);
        PyMem_Free(stack);
    }
}

/* ---- making the child ---- */

struct birth {
    enum method method;
    uint64_t flags;
    int exit_signal;
    int cgroup_fd;
    struct image *image;
    struct stack stack;
    /* results */
    long result; /* pid or -errno */
    int pidfd;
    uint64_t start_ns, end_ns;
};

static long call_clone3(struct birth *birth)
{
    struct clone3_args args = {
        .flags = birth->flags,
        .pidfd = (uintptr_t)&birth->pidfd,
        .child_tid = (uintptr_t)&birth->image->child_tid,
        .parent_tid = (uintptr_t)&birth->image->parent_tid,
        .exit_signal = (uint64_t)birth->exit_signal,
    };
    if (birth->stack.base != NULL) {
        args.stack = (uintptr_t)birth->stack.base;
        args.stack_size = birth->stack.size;
    }
    if (birth->cgroup_fd >= 0)
        args.cgroup = (uint64_t)birth->cgroup_fd;
    const long raw[5] = {(long)&args, sizeof args, 0, 0, 0};
    return child_clone(SYS_clone3, raw, child_main, birth->image);
}

static long call_clone(struct birth *birth, uint64_t flags)
{
    char *top = birth->stack.base == NULL ? NULL : birth->stack.base + birth->stack.size;
    /* One pointer serves CLONE_PIDFD and CLONE_PARENT_SETTID, which the kernel refuses together. */
    long parent_tid = (flags & CLONE_PIDFD) ? (long)&birth->pidfd : (long)&birth->image->parent_tid;
    long child_tid = (long)&birth->image->child_tid;
#if defined(__x86_64__)
    const long raw[5] = {(long)flags | birth->exit_signal, (long)top, parent_tid, child_tid, 0};
#else /* CONFIG_CLONE_BACKWARDS, clone(2) */
    const long raw[5] = {(long)flags | birth->exit_signal, (long)top, parent_tid, 0, child_tid};
#endif
    return child_clone(SYS_clone, raw, child_main, birth->image);
}

static long make_child(struct birth *birth)
{
    const long none[5] = {0, 0, 0, 0, 0};
    (void)none;
    switch (birth->method) {
    case METHOD_CLONE3:
        return call_clone3(birth);
    case METHOD_CLONE:
        return call_clone(birth, birth->flags);
    case METHOD_FORK:
#ifdef SYS_fork
        return child_clone(SYS_fork, none, child_main, birth->image);
#else
        return call_clone(birth, 0);
#endif
    case METHOD_VFORK:
#ifdef SYS_vfork
        return child_clone(SYS_vfork, none, child_main, birth->image);
#else
        return call_clone(birth, CLONE_VM | CLONE_VFORK);
#endif
    }
    return -EINVAL;
}

/* Every signal is blocked meanwhile, glibc's own 32 and 33 too: a handler must not run in a child that shares
 * our memory. The plan puts the mask back as its last act before execve. */
static void give_birth(struct birth *birth)
{
    uint64_t all = ~(uint64_t)0, before = 0;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, KERNEL_SIGSET_SIZE);
    birth->start_ns = monotonic_ns();
    birth->result = make_child(birth);
    birth->end_ns = monotonic_ns();
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, KERNEL_SIGSET_SIZE);
    if (birth->result > 0 && birth->pidfd < 0) {
        /* Ours and not yet reaped, so the number cannot have another owner. */
        birth->pidfd = (int)syscall(SYS_pidfd_open, birth->result, 0);
        if (birth->pidfd < 0)
            birth->pidfd = -errno;
    }
}

/* What the loop in the child takes for granted: it has no way to complain of an image that is none. */
static const char *fault_of_step(const struct image *image, const struct step *step, uint32_t index, size_t size)
{
    for (int i = 0; i < 6; i++) {
        if (step->kinds[i] == ARG_OFFSET && step->args[i] >= size)
            return "an argument points outside the image";
        if (step->kinds[i] == ARG_RESULT && step->args[i] >= index)
            return "an argument is the result of a step that comes later";
        if (step->kinds[i] > ARG_RESULT)
            return "an argument of no known kind";
    }
    int64_t guard = step->guard < 0 ? -((int64_t)step->guard + 1) : (int64_t)step->guard - 1;
    if (step->guard != 0 && guard >= (int64_t)index)
        return "a step depends on one that comes later";
    if (step->store_at != 0 &&
        (step->store_at < image->steps_offset ||
         step->store_at + (uint64_t)(step->store_size ? step->store_size : sizeof(int32_t)) > size))
        return "a result is to be stored outside the image";
    if ((step->flags & STEP_INIT) && (step->kinds[1] != ARG_OFFSET || step->args[1] + STACK_BELOW > size))
        return "the stack of a step that divides lies outside the image";
    return NULL;
}

static const char *fault_of(const struct image *image, size_t size)
{
    if (size < sizeof *image)
        return "the image is smaller than its header";
    if ((uintptr_t)image % sizeof(uint64_t) != 0 || image->steps_offset % sizeof(uint64_t) != 0)
        return "the image is not aligned";
    if (sizeof *image + (uint64_t)image->step_count * sizeof(struct record) > image->steps_offset ||
        image->steps_offset + (uint64_t)image->step_count * sizeof(struct step) > size)
        return "the image is smaller than its steps";
    const struct step *steps = (const struct step *)((const char *)image + image->steps_offset);
    for (uint32_t i = 0; i < image->step_count; i++) {
        const char *fault = fault_of_step(image, &steps[i], i, size);
        if (fault != NULL)
            return fault;
    }
    return NULL;
}

static int relocate(Py_buffer *image, const Py_buffer *relocations)
{
    const uint32_t *offsets = relocations->buf;
    const char *fault = fault_of(image->buf, (size_t)image->len);
    if (fault == NULL && ((size_t)relocations->len % sizeof *offsets != 0 || (uintptr_t)offsets % sizeof *offsets != 0))
        fault = "the relocations are not 32-bit offsets";
    if (fault != NULL) {
        PyErr_SetString(PyExc_ValueError, fault);
        return -1;
    }
    for (Py_ssize_t i = 0; i < relocations->len / (Py_ssize_t)sizeof *offsets; i++) {
        if ((uint64_t)offsets[i] + sizeof(uint64_t) > (uint64_t)image->len) {
            PyErr_SetString(PyExc_ValueError, "a relocation lies outside the image");
            return -1;
        }
        uint64_t value;
        char *place = (char *)image->buf + offsets[i];
        memcpy(&value, place, sizeof value);
        value += (uintptr_t)image->buf;
        memcpy(place, &value, sizeof value);
    }
    return 0;
}

/* Append what is known of a child to `made`: where it cannot be, the exception is set. */
static int tell(PyObject *made, const struct birth *birth, PyObject *stack)
{
    PyObject *born = Py_BuildValue("liKKO", birth->result, birth->pidfd, (unsigned long long)birth->start_ns,
                                   (unsigned long long)birth->end_ns, stack);
    int failed = born == NULL || PyList_Append(made, born) < 0;
    Py_XDECREF(born);
    return failed ? -1 : 0;
}

const char spawn_doc[] =
"spawn(method, flags, exit_signal, image, relocations, stack_size, cgroup_fd, made)\n\n"
"Make a child that runs the plan in `image` and append (pid, pidfd, start_ns, end_ns, stack) to the list `made`,\n"
"where the caller finds it even if a signal handler raises as the call returns. `stack` must be kept until the\n"
"child has exec'ed or died, as must the image; it is None where the child has its own memory or the call returned\n"
"only then. pidfd is -errno where none could be had. Raises OSError with the errno of the call.";

PyObject *native_spawn(PyObject *self, PyObject *args)
{
    (void)self;
    int method, exit_signal, cgroup_fd;
    unsigned long long flags;
    Py_ssize_t stack_size;
    Py_buffer image, relocations;
    PyObject *made;
    if (!PyArg_ParseTuple(args, "iKiw*y*niO!", &method, &flags, &exit_signal, &image, &relocations, &stack_size, &cgroup_fd,
                          &PyList_Type, &made))
        return NULL;

    PyObject *answer = NULL, *capsule = NULL;
    struct birth birth = {
        .method = (enum method)method, .flags = flags, .exit_signal = exit_signal, .cgroup_fd = cgroup_fd,
        .image = image.buf, .pidfd = -1,
    };
    if (method < METHOD_CLONE3 || method > METHOD_VFORK || stack_size < 0 || stack_size > PY_SSIZE_T_MAX / 2) {
        PyErr_SetString(PyExc_ValueError, "no such method, or no such size of a stack");
        goto out;
    }
    if (method <= METHOD_CLONE && (flags & CLONE_VM) && !(flags & CLONE_VFORK) && stack_size == 0) {
        PyErr_SetString(PyExc_ValueError, "a child that shares our memory beside us needs a stack");
        goto out;
    }
    if (relocate(&image, &relocations) < 0)
        goto out;
    if (stack_size > 0) {
        int error = map_stack(&birth.stack, (size_t)stack_size);
        if (error < 0) {
            errno = -error;
            PyErr_SetFromErrno(PyExc_OSError);
            goto out;
        }
    }

    PyThreadState *thread = PyEval_SaveThread();
    give_birth(&birth);
    PyEval_RestoreThread(thread);

    if (birth.result < 0) {
        release_stack(&birth.stack);
        errno = (int)-birth.result;
        PyErr_SetFromErrno(PyExc_OSError);
        goto out;
    }
    if (birth.stack.base != NULL && (flags & CLONE_VFORK))
        release_stack(&birth.stack);
    if (birth.stack.base != NULL) {
        struct stack *kept = PyMem_Malloc(sizeof *kept);
        if (kept == NULL) {
            PyErr_NoMemory();
            goto out;
        }
        *kept = birth.stack;
        capsule = PyCapsule_New(kept, STACK_CAPSULE, drop_stack_capsule);
        if (capsule == NULL) {
            PyMem_Free(kept);
            goto out;
        }
    } else {
        capsule = Py_None;
        Py_INCREF(capsule);
    }
    if (tell(made, &birth, capsule) == 0) {
        answer = Py_None;
        Py_INCREF(answer);
    }
    Py_DECREF(capsule);
out:
    PyBuffer_Release(&image);
    PyBuffer_Release(&relocations);
    return answer;
}

/* ---- a child that stays in Python ---- */

/* In the process in between: libc's fork has left it in order (its locks, that of malloc above all), and it has one
 * thread. Its own child, made with the asked flags, is a child of our parent and inherits that order. */
static void go_on_in_child(struct birth *birth)
{
    struct clone3_args args = {.flags = birth->flags};
    long final;
    if (birth->cgroup_fd >= 0)
        args.cgroup = (uint64_t)birth->cgroup_fd;
    if (birth->method == METHOD_CLONE3)
        final = raw_syscall(SYS_clone3, (long)&args, sizeof args, 0, 0, 0, 0);
    else
        final = raw_syscall(SYS_clone, (long)birth->flags | SIGCHLD, 0, 0, 0, 0, 0);
    if (final != 0) {
        birth->image->other = (int32_t)final;
        leave(0);
    }
}

/* libc's fork, then for clone3 and clone one more. Returns in both: 0 in the child, once its plan is over. */
static long fork_twice(struct birth *birth)
{
    uint64_t all = ~(uint64_t)0, before = 0;
    int direct = birth->method == METHOD_FORK;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, KERNEL_SIGSET_SIZE);
    birth->start_ns = monotonic_ns();
    birth->image->other = -ECHILD; /* the process in between died before it could say */
    pid_t pid = fork();
    int error = errno;
    if (pid == 0) {
        if (!direct)
            go_on_in_child(birth);
        run_plan(birth->image);
        return 0;
    }
    birth->end_ns = monotonic_ns();
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, KERNEL_SIGSET_SIZE);
    return pid < 0 ? -error : pid;
}

/* The process in between is only waited for; ECHILD, where SIGCHLD is ignored, comes once it has ended. */
static void find_final_child(struct birth *birth)
{
    if (birth->method != METHOD_FORK) {
        long waited;
        do
            waited = raw_syscall(SYS_wait4, birth->result, 0, __WALL, 0, 0, 0);
        while (waited == -EINTR);
        birth->result = birth->image->other;
        birth->end_ns = monotonic_ns();
    }
    if (birth->result > 0) {
        birth->pidfd = (int)syscall(SYS_pidfd_open, birth->result, 0);
        if (birth->pidfd < 0)
            birth->pidfd = -errno;
    }
}

const char fork_doc[] =
"fork(method, flags, image, relocations, cgroup_fd, made) -> bool\n\n"
"Make a child with memory of its own that runs the plan in `image` and then goes on in Python: returns True in it,\n"
"with every signal blocked. In the parent returns False and appends (pid, pidfd, start_ns, end_ns, None) to `made`, as\n"
"spawn() does. Raises OSError with the errno of the call.";

PyObject *native_fork(PyObject *self, PyObject *args)
{
    (void)self;
    int method, cgroup_fd;
    unsigned long long flags;
    Py_buffer image, relocations;
    PyObject *made, *answer = NULL;
    if (!PyArg_ParseTuple(args, "iKw*y*iO!", &method, &flags, &image, &relocations, &cgroup_fd, &PyList_Type, &made))
        return NULL;
    struct birth birth = {
        .method = (enum method)method, .flags = flags, .cgroup_fd = cgroup_fd, .image = image.buf, .pidfd = -1,
    };
    if (method < METHOD_CLONE3 || method > METHOD_FORK || (flags & (CLONE_VM | CLONE_VFORK | CLONE_THREAD))) {
        PyErr_SetString(PyExc_ValueError, "a child that stays in Python needs memory of its own");
        goto out;
    }
    if (relocate(&image, &relocations) < 0)
        goto out;
    PyOS_BeforeFork();
    birth.result = fork_twice(&birth);
    if (birth.result == 0) {
        PyOS_AfterFork_Child();
        answer = Py_True;
        Py_INCREF(answer);
        goto out;
    }
    PyOS_AfterFork_Parent();
    if (birth.result > 0) {
        PyThreadState *thread = PyEval_SaveThread();
        find_final_child(&birth);
        PyEval_RestoreThread(thread);
    }
    if (birth.result < 0) {
        errno = (int)-birth.result;
        PyErr_SetFromErrno(PyExc_OSError);
        goto out;
    }
    if (tell(made, &birth, Py_None) == 0) {
        answer = Py_False;
        Py_INCREF(answer);
    }
out:
    PyBuffer_Release(&image);
    PyBuffer_Release(&relocations);
    return answer;
}
