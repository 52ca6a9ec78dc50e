/* posix_spawn(3), as a mechanism to compare with: libc makes the child and no plan runs in it. */
#define PY_SSIZE_T_CLEAN
#include "_posix_spawn.h"

#include "_child.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <unistd.h>

const char posix_spawn_doc[] =
    "posix_spawn(path, argv, envp, moves, defaults, new_session, made)\n\n"
    "argv and envp are lists of bytes. moves is a list of (from, to) for dup2, to -1 for close. Bit N-1 of defaults\n"
    "gives signal N its default action. Appends (pid, pidfd, start_ns, end_ns, None) to the list `made`, as spawn() does.\n"
    "Raises OSError with the errno that posix_spawn returned.";

static int add_moves(posix_spawn_file_actions_t *actions, PyObject *moves)
{
    Py_ssize_t count = PyList_Size(moves);
    for (Py_ssize_t i = 0; i < count; i++) {
        int from, to;
        if (!PyArg_ParseTuple(PyList_GetItem(moves, i), "ii", &from, &to))
            return -1;
        int error = to < 0 ? posix_spawn_file_actions_addclose(actions, from)
                           : posix_spawn_file_actions_adddup2(actions, from, to);
        if (error != 0) {
            errno = error;
            PyErr_SetFromErrno(PyExc_OSError);
            return -1;
        }
    }
    return 0;
}

static char **strings_of(PyObject *list)
{
    Py_ssize_t count = PyList_Size(list);
    if (count < 0)
        return NULL;
    char **strings = PyMem_Malloc(((size_t)count + 1) * sizeof *strings);
    if (strings == NULL)
        return (char **)PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < count; i++) {
        strings[i] = PyBytes_AsString(PyList_GetItem(list, i));
        if (strings[i] == NULL) {
            PyMem_Free(strings);
            return NULL;
        }
    }
    strings[count] = NULL;
    return strings;
}

PyObject *native_posix_spawn(PyObject *self, PyObject *args)
{
    (void)self;
    const char *path;
    PyObject *argv_list, *envp_list, *moves, *made;
    unsigned long long defaults;
    int new_session;
    if (!PyArg_ParseTuple(args, "yO!O!O!KpO!", &path, &PyList_Type, &argv_list, &PyList_Type, &envp_list, &PyList_Type,
                          &moves, &defaults, &new_session, &PyList_Type, &made))
        return NULL;

    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t mask, handlers;
    PyObject *answer = NULL;
    char **argv = strings_of(argv_list);
    char **envp = argv == NULL ? NULL : strings_of(envp_list);
    if (envp == NULL) {
        PyMem_Free(argv);
        return NULL;
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    if (add_moves(&actions, moves) < 0)
        goto out;
    sigemptyset(&handlers);
    for (int number = 1; number < 64; number++)
        if (defaults >> (number - 1) & 1)
            sigaddset(&handlers, number);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    posix_spawnattr_setsigmask(&attributes, &mask);
    posix_spawnattr_setsigdefault(&attributes, &handlers);
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
#ifdef POSIX_SPAWN_SETSID
    if (new_session)
        flags |= POSIX_SPAWN_SETSID;
#endif
    posix_spawnattr_setflags(&attributes, flags);

    pid_t pid = -1;
    uint64_t start, end;
    int pidfd = -1;
    PyThreadState *thread = PyEval_SaveThread();
    start = monotonic_ns();
    int error = posix_spawn(&pid, path, &actions, &attributes, argv, envp);
    end = monotonic_ns();
    if (error == 0) {
        pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (pidfd < 0)
            pidfd = -errno;
    }
    PyEval_RestoreThread(thread);
    if (error != 0) {
        errno = error;
        PyErr_SetFromErrno(PyExc_OSError);
    } else {
        PyObject *born = Py_BuildValue("iiKKO", (int)pid, pidfd, (unsigned long long)start, (unsigned long long)end, Py_None);
        if (born != NULL && PyList_Append(made, born) == 0) {
            answer = Py_None;
            Py_INCREF(answer);
        }
        Py_XDECREF(born);
    }
out:
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    PyMem_Free(argv);
    PyMem_Free(envp);
    return answer;
}
