/* kcmp(2): whether two processes share a kernel object, and whether there is one to share. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define KCMP_IO 5
#define KCMP_SYSVSEM 6
#define STACK_SIZE 16384

static int kcmp_raw(pid_t first, pid_t second, int type)
{
	return (int)syscall(SYS_kcmp, first, second, type, 0, 0);
}

/* What a fresh process finds. It is cloned without CLONE_IO and CLONE_SYSVSEM, so its undo list is NULL, and so is
 * its I/O context unless the caller has an I/O priority to hand down (block/blk-ioc.c: __copy_io()). A second
 * fresh process settles that: two of them can only be equal when both are NULL. */
struct fresh {
	pid_t target, first;
	int proves_io; /* kcmp of the two fresh processes */
	int io, sysvsem;
	char *stack;
};

static int second_fresh(void *argument)
{
	struct fresh *fresh = argument;

	fresh->proves_io = kcmp_raw(fresh->first, (pid_t)syscall(SYS_getpid), KCMP_IO) == 0;
	return 0;
}

static int first_fresh(void *argument)
{
	struct fresh *fresh = argument;
	pid_t second;

	fresh->first = (pid_t)syscall(SYS_getpid);
	second = clone(second_fresh, fresh->stack + STACK_SIZE, CLONE_VM | CLONE_VFORK, fresh);
	if (second > 0)
		waitpid(second, NULL, __WALL);
	fresh->sysvsem = kcmp_raw(fresh->target, fresh->first, KCMP_SYSVSEM);
	fresh->io = kcmp_raw(fresh->target, fresh->first, KCMP_IO);
	return 0;
}

static int run_fresh(struct fresh *fresh)
{
	char *stacks = malloc(2 * STACK_SIZE);
	sigset_t all, before;
	pid_t first;
	int error = 0;

	if (!stacks)
		return ENOMEM;
	fresh->stack = stacks + STACK_SIZE;
	/* The child shares our memory: no signal handler may run in it. Exit signal 0: nobody else's wait sees it. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	first = clone(first_fresh, stacks + STACK_SIZE, CLONE_VM | CLONE_VFORK, fresh);
	if (first < 0)
		error = errno;
	else
		waitpid(first, NULL, __WALL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	free(stacks);
	return error;
}

static PyObject *raise_errno(int error)
{
	errno = error;
	return error == ENOMEM ? PyErr_NoMemory() : PyErr_SetFromErrno(PyExc_OSError);
}

static PyObject *py_kcmp(PyObject *module, PyObject *arguments)
{
	int first, second, type, order;
	unsigned long first_fd = 0, second_fd = 0;

	(void)module;
	if (!PyArg_ParseTuple(arguments, "iii|kk:kcmp", &first, &second, &type, &first_fd, &second_fd))
		return NULL;
	order = (int)syscall(SYS_kcmp, first, second, type, first_fd, second_fd);
	return order < 0 ? raise_errno(errno) : PyLong_FromLong(order);
}

static PyObject *py_has_none(PyObject *module, PyObject *arguments)
{
	struct fresh fresh = {.io = -1, .sysvsem = -1};
	PyObject *io, *sysvsem;
	int error;

	(void)module;
	if (!PyArg_ParseTuple(arguments, "i:has_none", &fresh.target))
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	error = run_fresh(&fresh);
	Py_END_ALLOW_THREADS
	if (error)
		return raise_errno(error);
	io = fresh.io < 0 || (fresh.io > 0 && !fresh.proves_io) ? Py_None : fresh.io ? Py_False : Py_True;
	sysvsem = fresh.sysvsem < 0 ? Py_None : fresh.sysvsem ? Py_False : Py_True;
	return PyTuple_Pack(2, io, sysvsem);
}

static PyMethodDef methods[] = {
	{"kcmp", py_kcmp, METH_VARARGS, 
	 "kcmp(pid1, pid2, type[, idx1, idx2]) -> 0 same, 1 less, 2 greater, 3 different; OSError."},
	{"has_none", py_has_none, METH_VARARGS,
	 "has_none(pid) -> (io, sysvsem): True when the process has no such object, None when that cannot be told."},
	{NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef definition = {
	.m_base = PyModuleDef_HEAD_INIT,
	.m_name = "nsview.host._kcmp",
	.m_doc = "kcmp(2).",
	.m_methods = methods,
	.m_slots = slots,
};

PyMODINIT_FUNC PyInit__kcmp(void)
{
	return PyModuleDef_Init(&definition);
}
