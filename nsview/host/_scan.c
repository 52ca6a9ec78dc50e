/* Snapshots for Python: packed records from /proc or from the BPF task iterator, read with the GIL released. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "_join.h"
#include "_proc.h"
#include "bpf/_tasks.h"

static PyObject *raise_errno(int error)
{
	errno = error;
	return error == ENOMEM ? PyErr_NoMemory() : PyErr_SetFromErrno(PyExc_OSError);
}

/* An iterable of ints as a C array; NULL with an exception set when it is not one. */
static int *pids_from(PyObject *iterable, Py_ssize_t *count)
{
	PyObject *list = PySequence_List(iterable);
	int *pids = NULL;

	if (!list)
		return NULL;
	*count = PyList_Size(list);
	pids = malloc(((size_t)*count + 1) * sizeof(*pids));
	if (!pids) {
		PyErr_NoMemory();
	} else {
		for (Py_ssize_t i = 0; i < *count; i++) {
			long pid = PyLong_AsLong(PyList_GetItem(list, i));

			if (pid == -1 && PyErr_Occurred()) {
				free(pids);
				pids = NULL;
				break;
			}
			pids[i] = pid > 0 && pid <= INT32_MAX ? (int)pid : 0;
		}
	}
	Py_DECREF(list);
	return pids;
}

static PyObject *packed(const struct scan *scan)
{
	return PyBytes_FromStringAndSize(scan->out, (Py_ssize_t)scan->used);
}

static int run_scan(struct scan *scan, const char *path, const int *pids, Py_ssize_t count)
{
	int error = begin_scan(scan, path);

	if (error)
		return error;
	if (pids)
		for (Py_ssize_t i = 0; i < count && !error; i++)
			error = add_process(scan, pids[i]);
	else
		error = add_all(scan);
	end_scan(scan);
	return error;
}

static PyObject *py_scan(PyObject *module, PyObject *arguments, PyObject *keywords)
{
	static char *names[] = {"proc", "pids", NULL};
	struct scan scan = {0};
	PyObject *path = NULL, *wanted = Py_None, *result = NULL;
	Py_ssize_t count = 0;
	int *pids = NULL;
	int error;

	(void)module;
	if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|O&O:scan", names, PyUnicode_FSConverter, &path, &wanted))
		return NULL;
	if (wanted != Py_None) {
		pids = pids_from(wanted, &count);
		if (!pids)
			goto done;
	}
	const char *proc = path ? PyBytes_AsString(path) : "/proc";
	Py_BEGIN_ALLOW_THREADS
	error = run_scan(&scan, proc, pids, count);
	Py_END_ALLOW_THREADS
	result = error ? raise_errno(error) : packed(&scan);
done:
	free(scan.text.bytes);
	free(scan.out);
	free(pids);
	Py_XDECREF(path);
	return result;
}

static int run_tasks(struct scan *scan, int link, struct memory before, struct memory *now)
{
	int error = begin_scan(scan, "/proc");

	if (error)
		return error;
	error = add_tasks(scan, link, before, now);
	end_scan(scan);
	return error;
}

static PyObject *py_tasks(PyObject *module, PyObject *arguments)
{
	struct scan scan = {0};
	struct memory now = {0};
	PyObject *result = NULL;
	const char *before;
	Py_ssize_t size;
	int link, error;

	(void)module;
	if (!PyArg_ParseTuple(arguments, "iy#:tasks", &link, &before, &size))
		return NULL;
	if (size % (Py_ssize_t)sizeof(struct told)) {
		PyErr_SetString(PyExc_ValueError, "not what tasks() gave before");
		return NULL;
	}
	struct memory then = {(struct told *)(void *)before, (size_t)size / sizeof(struct told)};
	Py_BEGIN_ALLOW_THREADS
	error = run_tasks(&scan, link, then, &now);
	Py_END_ALLOW_THREADS
	if (error)
		raise_errno(error);
	else
		result = Py_BuildValue("(NN)", packed(&scan),
		                       PyBytes_FromStringAndSize((char *)now.told, (Py_ssize_t)(now.count * sizeof(*now.told))));
	free(scan.text.bytes);
	free(scan.out);
	free(now.told);
	return result;
}

static PyObject *py_load(PyObject *module, PyObject *arguments)
{
	char why[4096];
	const char *library, *object;
	Py_ssize_t size;
	int link;

	(void)module;
	if (!PyArg_ParseTuple(arguments, "sy#:load", &library, &object, &size))
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	link = load_iterator(library, object, (size_t)size, why, sizeof(why));
	Py_END_ALLOW_THREADS
	if (link >= 0)
		return PyLong_FromLong(link);
	PyObject *values = Py_BuildValue("iy", -link, why);

	if (values) {
		PyErr_SetObject(link == -ELIBACC ? PyExc_ImportError : PyExc_OSError, values);
		Py_DECREF(values);
	}
	return NULL;
}

static PyMethodDef methods[] = {
	{"scan", (PyCFunction)(void (*)(void))py_scan, METH_VARARGS | METH_KEYWORDS,
	 "scan(proc='/proc', pids=None) -> bytes: a header and one record per process (nsview/host/layout.py)."},
	{"tasks", py_tasks, METH_VARARGS,
	 "tasks(link, told) -> (bytes, told): the same from the BPF task iterator behind a link's descriptor; told is what "
	 "the last call returned second (b'' the first time), so that no CPU time runs backwards."},
	{"load", py_load, METH_VARARGS,
	 "load(library, object) -> link: load the iterator through libbpf. Raises ImportError(errno, words) when it is the "
	 "library that cannot be loaded, else OSError(errno, words); the words are bytes, of libbpf and the kernel."},
	{"join", join_snapshots, METH_VARARGS,
	 "join(before, records, now, make) -> (records, born, gone, changed): the records of a packed snapshot by pid, and the "
	 "pids of those who are new, gone, or did anything since the one before, whose packed bytes and records are given. "
	 "make(bytes) makes a record. None where pids do not ascend; raises ValueError when they do not belong together."},
	{NULL, NULL, 0, NULL},
};

static int fill(PyObject *module)
{
	if (PyModule_AddIntConstant(module, "LAYOUT_VERSION", LAYOUT_VERSION) ||
	    PyModule_AddIntConstant(module, "HEADER_SIZE", sizeof(struct header)) ||
	    PyModule_AddIntConstant(module, "RECORD_SIZE", sizeof(struct record)))
		return -1;
	return 0;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, fill}, {0, NULL}};

static struct PyModuleDef definition = {
	.m_base = PyModuleDef_HEAD_INIT,
	.m_name = "nsview.host._scan",
	.m_doc = "All processes as packed records.",
	.m_methods = methods,
	.m_slots = slots,
};

PyMODINIT_FUNC PyInit__scan(void)
{
	return PyModuleDef_Init(&definition);
}
