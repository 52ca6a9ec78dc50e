/* The Python face of the native core: make a child around an image, reap it, report signal dispositions.
 *
 * Limited API 3.11. The GIL is released before the child is made and stays so until the call is over: under
 * CLONE_VFORK that is when the child has exec'ed or died.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "_child.h"
#include "_posix_spawn.h"

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
static size_t spare_size;

static void release_stack(struct stack *stack)
{
    char *none = NULL;
    if (stack->base != NULL && (stack->size != spare_size || !atomic_compare_exchange_strong(&spare, &none, stack->base)))
        munmap(stack->base, stack->size);
    stack->base = NULL;
}

static int map_stack(struct stack *stack, size_t usable)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    stack->size = ((usable + page - 1) / page + 1) * page;
    if (spare_size == 0)
        spare_size = stack->size; /* under the GIL; every launch asks for the same */
    if (stack->size == spare_size && (stack->base = atomic_exchange(&spare, NULL)) != NULL)
        return 0;
    void *base = mmap(NULL, stack->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
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

static int relocate(Py_buffer *image, const Py_buffer *relocations)
{
    const uint32_t *offsets = relocations->buf;
    for (Py_ssize_t i = 0; i < relocations->len / (Py_ssize_t)sizeof *offsets; i++) {
        if ((Py_ssize_t)(offsets[i] + sizeof(uint64_t)) > image->len) {
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
    if ((size_t)image.len < sizeof(struct image)) {
        PyErr_SetString(PyExc_ValueError, "the image is smaller than its header");
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

static const struct {
    const char *name;
    long number;
} SYSCALLS[] = {
#define SYSCALL(name) {#name, SYS_##name}
    SYSCALL(acct), SYSCALL(add_key), SYSCALL(bind), SYSCALL(capset), SYSCALL(capget), SYSCALL(chdir), SYSCALL(chroot),
    SYSCALL(clone), SYSCALL(clone3), SYSCALL(close), SYSCALL(close_range), SYSCALL(connect), SYSCALL(dup),
    SYSCALL(dup3), SYSCALL(execve), SYSCALL(execveat), SYSCALL(exit), SYSCALL(exit_group), SYSCALL(faccessat2),
    SYSCALL(fchdir), SYSCALL(fchmod), SYSCALL(fchmodat), SYSCALL(fchown), SYSCALL(fchownat), SYSCALL(fcntl),
    SYSCALL(fsconfig), SYSCALL(fsmount), SYSCALL(fsopen), SYSCALL(fspick), SYSCALL(ftruncate), SYSCALL(futex),
    SYSCALL(getcwd), SYSCALL(getegid), SYSCALL(geteuid), SYSCALL(getgid), SYSCALL(getgroups), SYSCALL(getpgid),
    SYSCALL(getpid), SYSCALL(getppid), SYSCALL(getpriority), SYSCALL(getresgid), SYSCALL(getresuid), SYSCALL(getsid),
    SYSCALL(getsockname), SYSCALL(gettid), SYSCALL(getuid), SYSCALL(ioctl), SYSCALL(ioprio_get), SYSCALL(ioprio_set),
    SYSCALL(keyctl), SYSCALL(kill), SYSCALL(landlock_add_rule), SYSCALL(landlock_create_ruleset),
    SYSCALL(landlock_restrict_self), SYSCALL(lseek), SYSCALL(memfd_create), SYSCALL(mkdirat), SYSCALL(mknodat),
    SYSCALL(mmap), SYSCALL(mount), SYSCALL(mount_setattr), SYSCALL(move_mount), SYSCALL(mprotect), SYSCALL(munmap),
    SYSCALL(nanosleep), SYSCALL(open_tree), SYSCALL(openat), SYSCALL(openat2), SYSCALL(personality),
    SYSCALL(pidfd_open), SYSCALL(pidfd_send_signal), SYSCALL(pidfd_getfd), SYSCALL(pipe2), SYSCALL(pivot_root),
    SYSCALL(ppoll), SYSCALL(prctl), SYSCALL(prlimit64), SYSCALL(ptrace), SYSCALL(read), SYSCALL(readlinkat),
    SYSCALL(recvfrom), SYSCALL(renameat2), SYSCALL(rt_sigaction), SYSCALL(rt_sigprocmask), SYSCALL(rt_sigqueueinfo),
    SYSCALL(sched_getaffinity), SYSCALL(sched_getattr), SYSCALL(sched_setaffinity), SYSCALL(sched_setattr),
    SYSCALL(sched_yield), SYSCALL(seccomp), SYSCALL(semctl), SYSCALL(semget), SYSCALL(semop), SYSCALL(sendmsg),
    SYSCALL(sendto), SYSCALL(setdomainname), SYSCALL(setfsgid), SYSCALL(setfsuid), SYSCALL(setgid),
    SYSCALL(setgroups), SYSCALL(sethostname), SYSCALL(setns), SYSCALL(setpgid), SYSCALL(setpriority),
    SYSCALL(setregid), SYSCALL(setresgid), SYSCALL(setresuid), SYSCALL(setreuid), SYSCALL(setsid),
    SYSCALL(setsockopt), SYSCALL(setuid), SYSCALL(shmat), SYSCALL(shmctl), SYSCALL(shmdt), SYSCALL(shmget),
    SYSCALL(socket), SYSCALL(socketpair), SYSCALL(statfs), SYSCALL(statx), SYSCALL(symlinkat), SYSCALL(sysinfo),
    SYSCALL(tgkill), SYSCALL(umask), SYSCALL(umount2), SYSCALL(uname), SYSCALL(unlinkat), SYSCALL(unshare),
    SYSCALL(utimensat), SYSCALL(wait4), SYSCALL(waitid), SYSCALL(write),
#undef SYSCALL
};

static PyMethodDef METHODS[] = {
    {"spawn", spawn, METH_VARARGS, spawn_doc},
    {"posix_spawn", native_posix_spawn, METH_VARARGS, posix_spawn_doc},
    {"waitid", native_waitid, METH_VARARGS, waitid_doc},
    {"dispositions", dispositions, METH_NOARGS, dispositions_doc},
    {"environment", environment, METH_NOARGS, environment_doc},
    {"probe_clone3", probe_clone3, METH_NOARGS, probe_clone3_doc},
    {"call", call, METH_VARARGS, call_doc},
    {NULL, NULL, 0, NULL},
};

static int fill(PyObject *module)
{
    PyObject *numbers = PyDict_New();
    if (numbers == NULL)
        return -1;
    for (size_t i = 0; i < sizeof SYSCALLS / sizeof *SYSCALLS; i++) {
        PyObject *number = PyLong_FromLong(SYSCALLS[i].number);
        if (number == NULL || PyDict_SetItemString(numbers, SYSCALLS[i].name, number) < 0) {
            Py_XDECREF(number);
            Py_DECREF(numbers);
            return -1;
        }
        Py_DECREF(number);
    }
    int failed = PyModule_AddObjectRef(module, "SYSCALLS", numbers);
    Py_DECREF(numbers);
    return failed < 0 || PyModule_AddIntConstant(module, "HEADER_SIZE", sizeof(struct image)) < 0 ||
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
