/* The Python face of the native core: make a child around an image, reap it, report signal dispositions.
 *
 * Limited API 3.11. The GIL is released before the child is made and stays so until the call is over: under
 * CLONE_VFORK that is when the child has exec'ed or died.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "_child.h"
#include "_posix_spawn.h"
#include "_reaper.h"
#include "_syscall.h"

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
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

PyDoc_STRVAR(spawn_doc,
"spawn(method, flags, exit_signal, image, relocations, stack_size, cgroup_fd, made)\n\n"
"Make a child that runs the plan in `image` and append (pid, pidfd, start_ns, end_ns, stack) to the list `made`,\n"
"where the caller finds it even if a signal handler raises as the call returns. `stack` must be kept until the\n"
"child has exec'ed or died, as must the image; it is None where the child has its own memory or the call returned\n"
"only then. pidfd is -errno where none could be had. Raises OSError with the errno of the call.");

static PyObject *spawn(PyObject *self, PyObject *args)
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
    PyObject *born = Py_BuildValue("liKKO", birth.result, birth.pidfd, (unsigned long long)birth.start_ns,
                                   (unsigned long long)birth.end_ns, capsule);
    Py_DECREF(capsule);
    if (born != NULL && PyList_Append(made, born) == 0) {
        answer = Py_None;
        Py_INCREF(answer);
    }
    Py_XDECREF(born);
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

PyDoc_STRVAR(fork_doc,
"fork(method, flags, image, relocations, cgroup_fd, made) -> bool\n\n"
"Make a child with memory of its own that runs the plan in `image` and then goes on in Python: returns True in it,\n"
"with every signal blocked. In the parent returns False and appends (pid, pidfd, start_ns, end_ns, None) to `made`, as\n"
"spawn() does. Raises OSError with the errno of the call.");

static PyObject *native_fork(PyObject *self, PyObject *args)
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
    PyObject *born = Py_BuildValue("liKKO", birth.result, birth.pidfd, (unsigned long long)birth.start_ns,
                                   (unsigned long long)birth.end_ns, Py_None);
    if (born != NULL && PyList_Append(made, born) == 0) {
        answer = Py_False;
        Py_INCREF(answer);
    }
    Py_XDECREF(born);
out:
    PyBuffer_Release(&image);
    PyBuffer_Release(&relocations);
    return answer;
}

/* ---- what the parent asks the kernel ---- */

PyDoc_STRVAR(waitid_doc,
"waitid(pidfd, options) -> (code, status, rusage) or None\n\n"
"waitid(2) on a pidfd, through the system call, which also gives the child's rusage as a tuple of 16 (times in\n"
"microseconds first: utime, stime, then ru_maxrss … in the order of struct rusage). None: WNOHANG and still alive.");

static PyObject *native_waitid(PyObject *self, PyObject *args)
{
    (void)self;
    int pidfd, options;
    if (!PyArg_ParseTuple(args, "ii", &pidfd, &options))
        return NULL;
    siginfo_t info;
    struct rusage usage;
    long result;
    int error;
    do {
        memset(&info, 0, sizeof info);
        memset(&usage, 0, sizeof usage);
        PyThreadState *thread = PyEval_SaveThread();
        result = syscall(SYS_waitid, P_PIDFD, pidfd, &info, options, &usage);
        error = errno;
        PyEval_RestoreThread(thread);
        if (result < 0 && error == EINTR && PyErr_CheckSignals() < 0)
            return NULL;
    } while (result < 0 && error == EINTR);
    if (result < 0) {
        errno = error;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    if (info.si_pid == 0)
        Py_RETURN_NONE;
    return Py_BuildValue("ii(LLllllllllllllll)", info.si_code, info.si_status,
                         (long long)usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec,
                         (long long)usage.ru_stime.tv_sec * 1000000 + usage.ru_stime.tv_usec,
                         usage.ru_maxrss, usage.ru_ixrss, usage.ru_idrss, usage.ru_isrss, usage.ru_minflt,
                         usage.ru_majflt, usage.ru_nswap, usage.ru_inblock, usage.ru_oublock, usage.ru_msgsnd,
                         usage.ru_msgrcv, usage.ru_nsignals, usage.ru_nvcsw, usage.ru_nivcsw);
}

PyDoc_STRVAR(dispositions_doc,
"dispositions() -> (caught, ignored)\n\nBit N-1 of each mask tells of signal N, as SigCgt and SigIgn in proc(5).");

/* The head of the kernel's struct sigaction on both architectures: the handler comes first. */
struct kernel_sigaction {
    uintptr_t handler;
    uint64_t rest[3];
};

static PyObject *dispositions(PyObject *self, PyObject *args)
{
    (void)self;
    (void)args;
    uint64_t caught = 0, ignored = 0;
    for (int number = 1; number <= 64; number++) {
        struct kernel_sigaction action = {0};
        if (syscall(SYS_rt_sigaction, number, NULL, &action, KERNEL_SIGSET_SIZE) < 0)
            return PyErr_SetFromErrno(PyExc_OSError);
        uint64_t bit = (uint64_t)1 << (number - 1);
        if (action.handler == (uintptr_t)SIG_IGN)
            ignored |= bit;
        else if (action.handler != (uintptr_t)SIG_DFL)
            caught |= bit;
    }
    return Py_BuildValue("KK", (unsigned long long)caught, (unsigned long long)ignored);
}

PyDoc_STRVAR(environment_doc,
"environment() -> bytes\n\nThe environment of this process as execve(2) would pass it on: NAME=VALUE, each with a NUL behind it.");

static PyObject *environment(PyObject *self, PyObject *args)
{
    (void)self;
    (void)args;
    size_t size = 0;
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++)
        size += strlen(*entry) + 1;
    PyObject *answer = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (answer == NULL)
        return NULL;
    char *place = PyBytes_AsString(answer);
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        size_t length = strlen(*entry) + 1;
        memcpy(place, *entry, length);
        place += length;
    }
    return answer;
}

PyDoc_STRVAR(probe_clone3_doc,
"probe_clone3() -> int\n\nThe errno of clone3(NULL, 0): EINVAL where it exists, ENOSYS or EPERM where a kernel or filter lacks it.");

static PyObject *probe_clone3(PyObject *self, PyObject *args)
{
    (void)self;
    (void)args;
    long result = syscall(SYS_clone3, NULL, 0);
    return PyLong_FromLong(result < 0 ? errno : 0);
}

PyDoc_STRVAR(call_doc,
"call(number, *args) -> int\n\n"
"Make a system call in the calling thread, with up to six arguments: an int is passed as it is, None as a null pointer,\n"
"bytes as a pointer to them, a bytearray as a pointer that the kernel may write to. Raises OSError.");

static PyObject *call(PyObject *self, PyObject *args)
{
    (void)self;
    Py_ssize_t count = PyTuple_Size(args);
    long raw[7] = {0};
    Py_buffer buffers[7];
    int held = 0;
    PyObject *answer = NULL;
    if (count < 1 || count > 7) {
        PyErr_SetString(PyExc_TypeError, "call() takes a number and up to six arguments");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *argument = PyTuple_GetItem(args, i);
        if (i == 0 && !PyLong_Check(argument)) {
            PyErr_SetString(PyExc_TypeError, "the first argument of call() is the number of a system call");
            goto out;
        }
        if (argument == Py_None)
            continue;
        if (PyLong_Check(argument)) {
            raw[i] = (long)PyLong_AsUnsignedLongLongMask(argument);
            if (PyErr_Occurred())
                goto out;
        } else {
            int flags = PyBytes_Check(argument) ? PyBUF_SIMPLE : PyBUF_WRITABLE;
            if (PyObject_GetBuffer(argument, &buffers[held], flags) < 0)
                goto out;
            raw[i] = (long)buffers[held++].buf;
        }
    }
    PyThreadState *thread = PyEval_SaveThread();
    long result = syscall(raw[0], raw[1], raw[2], raw[3], raw[4], raw[5], raw[6]);
    int error = errno;
    PyEval_RestoreThread(thread);
    if (result == -1) {
        errno = error;
        PyErr_SetFromErrno(PyExc_OSError);
    } else {
        answer = PyLong_FromLong(result);
    }
out:
    while (held > 0)
        PyBuffer_Release(&buffers[--held]);
    return answer;
}

/* ---- the module ---- */

struct named {
    const char *name;
    long number;
};

static const struct named PSEUDO_CALLS[] = {{"entry", CALL_ENTRY}, {"store", CALL_STORE}, {"dig", CALL_DIG}};

static const struct named SYSCALLS[] = {
#define SYSCALL(name) {#name, SYS_##name}
    SYSCALL(acct), SYSCALL(add_key), SYSCALL(bind), SYSCALL(capget), SYSCALL(capset), SYSCALL(chdir), SYSCALL(chroot),
    SYSCALL(clock_gettime), SYSCALL(clone), SYSCALL(clone3), SYSCALL(close), SYSCALL(close_range), SYSCALL(connect),
    SYSCALL(dup), SYSCALL(dup3), SYSCALL(execve), SYSCALL(execveat), SYSCALL(exit), SYSCALL(exit_group),
    SYSCALL(faccessat2), SYSCALL(fchdir), SYSCALL(fchmod), SYSCALL(fchmodat), SYSCALL(fchown), SYSCALL(fchownat),
    SYSCALL(fcntl), SYSCALL(fsconfig), SYSCALL(fsmount), SYSCALL(fsopen), SYSCALL(fspick), SYSCALL(ftruncate),
    SYSCALL(futex), SYSCALL(getcwd), SYSCALL(getegid), SYSCALL(geteuid), SYSCALL(getgid), SYSCALL(getgroups),
    SYSCALL(getpgid), SYSCALL(getpid), SYSCALL(getppid), SYSCALL(getpriority), SYSCALL(getresgid), SYSCALL(getresuid),
    SYSCALL(getsid), SYSCALL(getsockname), SYSCALL(gettid), SYSCALL(getuid), SYSCALL(ioctl), SYSCALL(ioprio_get),
    SYSCALL(ioprio_set), SYSCALL(keyctl), SYSCALL(kill), SYSCALL(landlock_add_rule), SYSCALL(landlock_create_ruleset),
    SYSCALL(landlock_restrict_self), SYSCALL(lseek), SYSCALL(memfd_create), SYSCALL(mkdirat), SYSCALL(mknodat),
    SYSCALL(mmap), SYSCALL(mount), SYSCALL(mount_setattr), SYSCALL(move_mount), SYSCALL(mprotect), SYSCALL(munmap),
    SYSCALL(nanosleep), SYSCALL(open_tree), SYSCALL(openat), SYSCALL(openat2), SYSCALL(personality),
    SYSCALL(pidfd_getfd), SYSCALL(pidfd_open), SYSCALL(pidfd_send_signal), SYSCALL(pipe2), SYSCALL(pivot_root),
    SYSCALL(ppoll), SYSCALL(prctl), SYSCALL(prlimit64), SYSCALL(ptrace), SYSCALL(read), SYSCALL(readlinkat),
    SYSCALL(recvfrom), SYSCALL(renameat2), SYSCALL(restart_syscall), SYSCALL(rt_sigaction), SYSCALL(rt_sigprocmask),
    SYSCALL(rt_sigqueueinfo), SYSCALL(rt_sigtimedwait), SYSCALL(sched_getaffinity), SYSCALL(sched_getattr),
    SYSCALL(sched_setaffinity), SYSCALL(sched_setattr), SYSCALL(sched_yield), SYSCALL(seccomp), SYSCALL(semctl),
    SYSCALL(semget), SYSCALL(semop), SYSCALL(sendmsg), SYSCALL(sendto), SYSCALL(set_tid_address),
    SYSCALL(setdomainname), SYSCALL(setfsgid), SYSCALL(setfsuid), SYSCALL(setgid), SYSCALL(setgroups),
    SYSCALL(sethostname), SYSCALL(setns), SYSCALL(setpgid), SYSCALL(setpriority), SYSCALL(setregid),
    SYSCALL(setresgid), SYSCALL(setresuid), SYSCALL(setreuid), SYSCALL(setsid), SYSCALL(setsockopt), SYSCALL(setuid),
    SYSCALL(shmat), SYSCALL(shmctl), SYSCALL(shmdt), SYSCALL(shmget), SYSCALL(socket), SYSCALL(socketpair),
    SYSCALL(statfs), SYSCALL(statx), SYSCALL(symlinkat), SYSCALL(sysinfo), SYSCALL(tgkill), SYSCALL(umask),
    SYSCALL(umount2), SYSCALL(uname), SYSCALL(unlinkat), SYSCALL(unshare), SYSCALL(utimensat), SYSCALL(wait4),
    SYSCALL(waitid), SYSCALL(write),
#undef SYSCALL
};

static PyMethodDef METHODS[] = {
    {"spawn", spawn, METH_VARARGS, spawn_doc},
    {"fork", native_fork, METH_VARARGS, fork_doc},
    {"reaper", reaper_code, METH_NOARGS, reaper_doc},
    {"posix_spawn", native_posix_spawn, METH_VARARGS, posix_spawn_doc},
    {"waitid", native_waitid, METH_VARARGS, waitid_doc},
    {"dispositions", dispositions, METH_NOARGS, dispositions_doc},
    {"environment", environment, METH_NOARGS, environment_doc},
    {"probe_clone3", probe_clone3, METH_NOARGS, probe_clone3_doc},
    {"call", call, METH_VARARGS, call_doc},
    {NULL, NULL, 0, NULL},
};

static int add_numbers(PyObject *module, const char *name, const struct named *rows, size_t count)
{
    PyObject *numbers = PyDict_New();
    if (numbers == NULL)
        return -1;
    for (size_t i = 0; i < count; i++) {
        PyObject *number = PyLong_FromLong(rows[i].number);
        if (number == NULL || PyDict_SetItemString(numbers, rows[i].name, number) < 0) {
            Py_XDECREF(number);
            Py_DECREF(numbers);
            return -1;
        }
        Py_DECREF(number);
    }
    int failed = PyModule_AddObjectRef(module, name, numbers);
    Py_DECREF(numbers);
    return failed;
}

static int fill(PyObject *module)
{
    return add_numbers(module, "SYSCALLS", SYSCALLS, sizeof SYSCALLS / sizeof *SYSCALLS) < 0 ||
           add_numbers(module, "PSEUDO_CALLS", PSEUDO_CALLS, sizeof PSEUDO_CALLS / sizeof *PSEUDO_CALLS) < 0 ||
           PyModule_AddIntConstant(module, "STACK_BELOW", STACK_BELOW) < 0 ||
           PyModule_AddIntConstant(module, "HEADER_SIZE", sizeof(struct image)) < 0 ||
           PyModule_AddIntConstant(module, "RECORD_SIZE", sizeof(struct record)) < 0 ||
           PyModule_AddIntConstant(module, "STEP_SIZE", sizeof(struct step)) < 0 ? -1 : 0;
}

static PyModuleDef_Slot SLOTS[] = {{Py_mod_exec, fill}, {0, NULL}};

static struct PyModuleDef MODULE = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "spawner._native",
    .m_doc = "Make a child with the asked clone flags and run a plan of system calls in it.",
    .m_methods = METHODS,
    .m_slots = SLOTS,
};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&MODULE);
}
