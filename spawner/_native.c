/* The Python face of the native core: its children are made in _birth.c; what the parent asks the kernel is here.
 *
 * Limited API 3.11.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "_birth.h"
#include "_child.h"
#include "_posix_spawn.h"
#include "_reaper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define KERNEL_SIGSET_SIZE 8

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

PyDoc_STRVAR(read_file_doc,
"read_file(path, size) -> bytes\n\n"
"The first `size` bytes of a small file, by one read. No descriptor is lost to a signal handler that raises meanwhile,\n"
"for handlers run between Python's instructions and this is one. Raises OSError.");

static PyObject *read_file(PyObject *self, PyObject *args)
{
    (void)self;
    const char *path;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(args, "yn", &path, &size))
        return NULL;
    char *text = PyMem_Malloc(size > 0 ? (size_t)size : 1);
    if (text == NULL)
        return PyErr_NoMemory();
    ssize_t length = -1;
    int error = 0;
    PyThreadState *thread = PyEval_SaveThread();
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        length = read(fd, text, size > 0 ? (size_t)size : 0);
    if (length < 0)
        error = errno;
    if (fd >= 0)
        close(fd);
    PyEval_RestoreThread(thread);
    PyObject *answer = NULL;
    if (length >= 0) {
        answer = PyBytes_FromStringAndSize(text, length);
    } else {
        errno = error;
        PyErr_SetFromErrnoWithFilename(PyExc_OSError, path);
    }
    PyMem_Free(text);
    return answer;
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
    {"spawn", native_spawn, METH_VARARGS, spawn_doc},
    {"fork", native_fork, METH_VARARGS, fork_doc},
    {"reaper", reaper_code, METH_NOARGS, reaper_doc},
    {"posix_spawn", native_posix_spawn, METH_VARARGS, posix_spawn_doc},
    {"waitid", native_waitid, METH_VARARGS, waitid_doc},
    {"dispositions", dispositions, METH_NOARGS, dispositions_doc},
    {"environment", environment, METH_NOARGS, environment_doc},
    {"probe_clone3", probe_clone3, METH_NOARGS, probe_clone3_doc},
    {"read_file", read_file, METH_VARARGS, read_file_doc},
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
