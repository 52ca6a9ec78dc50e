/* Joining a packed snapshot with the one before it: only who is new or has changed becomes a record of Python again.
 *
 * Both are in ascending order of pids, so one pass side by side finds who was born, who is gone and who did anything.
 * Most processes do nothing from one snapshot to the next: of those the record, and its key, are used again.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stddef.h>
#include <string.h>

#include "_join.h"
#include "_record.h"

struct side {
	const char *bytes;
	Py_ssize_t count, at;
};

enum { NOT_ASCENDING = 1 };

struct answer {
	PyObject *records, *born, *gone, *changed;
};

/* The records behind a header that says how many there are; -1 with ValueError when it does not. */
static int side_of(const char *bytes, Py_ssize_t size, struct side *side)
{
	struct header header;

	*side = (struct side){0};
	if (!size)
		return 0;
	if ((size_t)size >= sizeof(header)) {
		memcpy(&header, bytes, sizeof(header));
		if (!memcmp(header.magic, "nsvS", 4) && header.record_size == sizeof(struct record) &&
		    (size_t)size == sizeof(header) + header.count * sizeof(struct record)) {
			*side = (struct side){bytes + sizeof(header), header.count, 0};
			return 0;
		}
	}
	PyErr_SetString(PyExc_ValueError, "a packed snapshot does not fit its layout");
	return -1;
}

static const char *record_of(const struct side *side)
{
	return side->at < side->count ? side->bytes + side->at * (Py_ssize_t)sizeof(struct record) : NULL;
}

static int pid_of(const char *record)
{
	int32_t pid;

	memcpy(&pid, record + offsetof(struct record, pid), sizeof(pid));
	return pid;
}

static int is_same_process(const char *one, const char *other)
{
	const size_t start = offsetof(struct record, start_time);

	return !memcmp(one + start, other + start, sizeof(uint64_t));
}

static int append_pid(PyObject *list, int pid)
{
	PyObject *number = PyLong_FromLong(pid);
	int result = number ? PyList_Append(list, number) : -1;

	Py_XDECREF(number);
	return result;
}

/* Have Python make the record of who is new or has changed. */
static int add_made(struct answer *answer, PyObject *make, const char *record)
{
	PyObject *made = PyObject_CallFunction(make, "y#", record, (Py_ssize_t)sizeof(struct record));
	PyObject *key = made ? PyLong_FromLong(pid_of(record)) : NULL;
	int result = key ? PyDict_SetItem(answer->records, key, made) : -1;

	Py_XDECREF(made);
	Py_XDECREF(key);
	return result;
}

/* The next record of the snapshot before, which must be that of `pid`; both references are the dict's. */
static int next_known(PyObject *known, Py_ssize_t *place, int pid, PyObject **key, PyObject **value)
{
	if (PyDict_Next(known, place, key, value) && PyLong_AsLong(*key) == pid)
		return 0;
	if (!PyErr_Occurred())
		PyErr_SetString(PyExc_ValueError, "these are not the records of the snapshot before");
	return -1;
}

/* 0, NOT_ASCENDING, or -1 with an exception set. */
static int walk(struct answer *answer, struct side *before, PyObject *known, struct side *now, PyObject *make)
{
	Py_ssize_t place = 0;
	int last = -1;

	for (;;) {
		const char *then = record_of(before), *record = record_of(now);
		PyObject *key = NULL, *value = NULL;
		int error;

		if (!then && !record)
			return 0;
		if (record && pid_of(record) <= last)
			return NOT_ASCENDING;
		int has_then = then && (!record || pid_of(then) <= pid_of(record));
		int has_now = record && (!then || pid_of(record) <= pid_of(then));

		if (has_then && next_known(known, &place, pid_of(then), &key, &value))
			return -1;
		if (has_then && has_now && !memcmp(then, record, sizeof(struct record))) {
			error = PyDict_SetItem(answer->records, key, value);
		} else {
			int goes_on = has_then && has_now && is_same_process(then, record);

			error = goes_on ? append_pid(answer->changed, pid_of(record)) : 0;
			if (!error && has_then && !goes_on)
				error = append_pid(answer->gone, pid_of(then));
			if (!error && has_now && !goes_on)
				error = append_pid(answer->born, pid_of(record));
			if (!error && has_now)
				error = add_made(answer, make, record);
		}
		if (error)
			return -1;
		if (has_now)
			last = pid_of(record);
		before->at += has_then;
		now->at += has_now;
	}
}

PyObject *join_snapshots(PyObject *module, PyObject *arguments)
{
	struct answer answer = {0};
	struct side before, now;
	const char *then_bytes, *now_bytes;
	Py_ssize_t then_size, now_size;
	PyObject *known, *make, *result = NULL;

	(void)module;
	if (!PyArg_ParseTuple(arguments, "y#O!y#O:join", &then_bytes, &then_size, &PyDict_Type, &known, &now_bytes, &now_size,
	                      &make))
		return NULL;
	if (side_of(then_bytes, then_size, &before) || side_of(now_bytes, now_size, &now))
		return NULL;
	if (PyDict_Size(known) != before.count) {
		PyErr_SetString(PyExc_ValueError, "these are not the records of the snapshot before");
		return NULL;
	}
	answer = (struct answer){PyDict_New(), PyList_New(0), PyList_New(0), PyList_New(0)};
	if (answer.records && answer.born && answer.gone && answer.changed) {
		int error = walk(&answer, &before, known, &now, make);

		if (!error)
			result = PyTuple_Pack(4, answer.records, answer.born, answer.gone, answer.changed);
		else if (error == NOT_ASCENDING)
			result = Py_NewRef(Py_None);
	}
	Py_XDECREF(answer.records);
	Py_XDECREF(answer.born);
	Py_XDECREF(answer.gone);
	Py_XDECREF(answer.changed);
	return result;
}
