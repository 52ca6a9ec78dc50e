/* One pass over /proc, packed: a fixed-size record per process, read with the GIL released.
 *
 * A record is of one process. Everything is read relative to an O_PATH descriptor of /proc/PID, which pins the
 * kernel's struct pid: once that process is reaped, lookups through it fail and never reach a successor with the
 * same number (fs/proc/base.c: get_proc_task()). A process that vanishes midway is dropped and counted.
 *
 * Unknown is not zero: each group of fields has a bit in `valid`. nsview/host/layout.py mirrors the structs below
 * and compares sizes and version at import.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LAYOUT_VERSION 1
#define COMM_SIZE 64 /* user tasks have 15 bytes; kernel threads and workers report up to 63 (proc_task_name()) */
#define LINKS 10
#define ERRORS 8
#define PF_EXITING 0x4 /* include/linux/sched.h */

enum {
	VALID_STAT = 1 << 0,     /* all fields of /proc/PID/stat */
	VALID_UID = 1 << 1,      /* uid */
	VALID_SWITCHES = 1 << 2, /* voluntary, involuntary */
	VALID_INNER = 1 << 3,    /* inner_pid, depth */
	VALID_LINK = 1 << 16,    /* << i: links[i] */
};

struct error {
	int32_t number;
	uint32_t count;
};

struct header {
	char magic[4]; /* "nsvS" */
	uint16_t version;
	uint16_t record_size;
	uint32_t count;
	uint32_t vanished;
	uint64_t started_ns, ended_ns; /* CLOCK_MONOTONIC */
	uint32_t ticks_per_second;
	uint32_t page_size;
	struct error errors[ERRORS]; /* errnos other than "gone" and "not allowed"; a zero number ends the list */
};

struct record {
	uint32_t valid;
	int32_t pid, ppid, pgrp, session, tty;
	uint32_t uid;   /* effective, as seen from the reader's user namespace */
	uint32_t flags; /* PF_*, include/linux/sched.h */
	uint32_t threads;
	int32_t inner_pid; /* its pid in its own pid namespace */
	uint32_t depth;    /* pid namespaces between the reader's and its own */
	char state;
	char pad[3];
	uint64_t start_time, utime, stime; /* clock ticks */
	uint64_t rss;                      /* bytes */
	uint64_t minflt, majflt;           /* whole thread group */
	uint64_t voluntary, involuntary;   /* main thread only: the kernel keeps no sum */
	uint64_t links[LINKS];             /* inodes, order of LINK_NAMES */
	char comm[COMM_SIZE];              /* raw bytes, NUL-padded */
};

/* nsview's column order mnpUuiCT, then what children will get. */
static const char *const LINK_NAMES[LINKS] = {
	"ns/mnt", "ns/net",    "ns/pid",  "ns/user",          "ns/uts",
	"ns/ipc", "ns/cgroup", "ns/time", "ns/pid_for_children", "ns/time_for_children",
};

struct buffer {
	char *bytes;
	size_t size;
};

struct scan {
	int proc;
	uint64_t page_size;
	struct buffer text; /* one file's content */
	char *out;          /* header and records */
	size_t used, size;
	uint32_t vanished;
	struct error errors[ERRORS];
};

/* ---- small pieces ------------------------------------------------------------------------------------------ */

static int is_gone(int error)
{
	return error == ENOENT || error == ESRCH;
}

static int is_refused(int error)
{
	return error == EACCES || error == EPERM;
}

/* The last slot collects whatever finds the table full. */
static void note_error(struct scan *scan, int number)
{
	int slot = 0;

	while (slot < ERRORS - 1 && scan->errors[slot].number && scan->errors[slot].number != number)
		slot++;
	scan->errors[slot].number = number;
	scan->errors[slot].count++;
}

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int grow(void *pointer, size_t *size, size_t wanted)
{
	char **bytes = pointer;
	size_t larger = *size ? *size : 16384;
	char *moved;

	while (larger < wanted)
		larger *= 2;
	if (larger == *size)
		return 0;
	moved = realloc(*bytes, larger);
	if (!moved)
		return ENOMEM;
	*bytes = moved;
	*size = larger;
	return 0;
}

static const char *number_at(const char *at, uint64_t *value)
{
	uint64_t sum = 0;
	int negative;

	while (*at == ' ' || *at == '\t')
		at++;
	negative = *at == '-';
	at += negative;
	for (; *at >= '0' && *at <= '9'; at++)
		sum = sum * 10 + (uint64_t)(*at - '0');
	*value = negative ? 0 - sum : sum;
	return at;
}

/* Read a whole small file of the process into scan->text, NUL-terminated. Returns 0 or an errno. */
static int read_file(struct scan *scan, int process, const char *name, size_t *length)
{
	int fd = openat(process, name, O_RDONLY | O_CLOEXEC);
	int error = 0;
	ssize_t got;

	*length = 0;
	if (fd < 0)
		return errno;
	/* A short read is the end here: seq_file fills what it is given, so only a full buffer asks for more. */
	do {
		error = grow(&scan->text.bytes, &scan->text.size, *length + 4096);
		if (error)
			break;
		size_t room = scan->text.size - *length - 1;
		got = read(fd, scan->text.bytes + *length, room);
		if (got < 0) {
			error = errno;
			break;
		}
		*length += (size_t)got;
		if ((size_t)got < room)
			break;
	} while (1);
	close(fd);
	if (!error)
		scan->text.bytes[*length] = '\0';
	return error ? error : *length ? 0 : ESRCH;
}

/* ---- one process ------------------------------------------------------------------------------------------- */

/* proc_pid_stat(5). The name may hold anything, ')' and newlines too; the fields after the last ')' are numbers. */
static int parse_stat(const struct scan *scan, size_t length, struct record *record)
{
	const char *text = scan->text.bytes;
	const char *open = memchr(text, '(', length);
	const char *close = memrchr(text, ')', length);
	uint64_t field[25]; /* by proc_pid_stat(5)'s numbering */
	size_t name;

	if (!open || !close || close < open || close + 3 >= text + length)
		return EPROTO;
	name = (size_t)(close - open - 1);
	if (name > COMM_SIZE - 1)
		name = COMM_SIZE - 1;
	memset(record->comm, 0, COMM_SIZE);
	memcpy(record->comm, open + 1, name);
	record->state = close[2];
	const char *at = close + 3;
	for (int i = 4; i < 25; i++)
		at = number_at(at, &field[i]);
	record->ppid = (int32_t)field[4];
	record->pgrp = (int32_t)field[5];
	record->session = (int32_t)field[6];
	record->tty = (int32_t)field[7];
	record->flags = (uint32_t)field[9];
	record->minflt = field[10];
	record->majflt = field[12];
	record->utime = field[14];
	record->stime = field[15];
	record->threads = (uint32_t)field[20];
	record->start_time = field[22];
	record->rss = field[24] * scan->page_size;
	record->valid |= VALID_STAT;
	return 0;
}

static void parse_inner(const char *at, struct record *record)
{
	uint64_t value = 0;
	uint32_t levels = 0;

	while (*at == '\t') {
		at = number_at(at, &value);
		levels++;
	}
	if (!levels)
		return;
	record->inner_pid = (int32_t)value;
	record->depth = levels - 1;
	record->valid |= VALID_INNER;
}

/* proc_pid_status(5). Here the kernel escapes the name, so no line can be forged through it. */
static void parse_status(const char *line, struct record *record)
{
	uint64_t value;
	int switches = 0;

	for (; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
		switch (*line) {
		case 'U':
			if (!strncmp(line, "Uid:", 4)) {
				number_at(number_at(line + 4, &value), &value);
				record->uid = (uint32_t)value;
				record->valid |= VALID_UID;
			}
			break;
		case 'N':
			if (!strncmp(line, "NSpid:", 6))
				parse_inner(line + 6, record);
			break;
		case 'v':
			if (!strncmp(line, "voluntary_ctxt_switches:", 24)) {
				number_at(line + 24, &record->voluntary);
				switches++;
			}
			break;
		case 'n':
			if (!strncmp(line, "nonvoluntary_ctxt_switches:", 27)) {
				number_at(line + 27, &record->involuntary);
				switches++;
			}
			break;
		}
	}
	if (switches == 2)
		record->valid |= VALID_SWITCHES;
}

/* Returns how many links could not be read. */
static int read_links(struct scan *scan, int process, struct record *record)
{
	char text[64];
	int missing = 0;

	for (int i = 0; i < LINKS; i++) {
		ssize_t length = readlinkat(process, LINK_NAMES[i], text, sizeof(text) - 1);
		char *bracket;

		if (length < 0) {
			missing++;
			/* Permission is per process, not per link (proc_ns_readlink()): the rest would fail alike. */
			if (is_refused(errno))
				return missing;
			if (!is_gone(errno))
				note_error(scan, errno);
			continue;
		}
		text[length] = '\0';
		bracket = strchr(text, '[');
		if (!bracket) {
			missing++;
			note_error(scan, EPROTO);
			continue;
		}
		number_at(bracket + 1, &record->links[i]);
		record->valid |= (uint32_t)VALID_LINK << i;
	}
	return missing;
}

static int read_stat(struct scan *scan, int process, struct record *record)
{
	size_t length;
	int error = read_file(scan, process, "stat", &length);

	return error ? error : parse_stat(scan, length, record);
}

/* Read everything in this order: what stat says is no younger than the links. *missing counts unread links. */
static int read_once(struct scan *scan, int process, struct record *record, int *missing)
{
	size_t length;
	int error = read_stat(scan, process, record);

	if (error)
		return error;
	error = read_file(scan, process, "status", &length);
	if (!error)
		parse_status(scan->text.bytes, record);
	else if (is_gone(error))
		return error;
	else if (!is_refused(error))
		note_error(scan, error);
	*missing = read_links(scan, process, record);
	return 0;
}

/* do_exit() sets the flag first, gives the namespaces back next, and only then becomes a zombie. */
static int is_over(const struct record *record)
{
	return record->state == 'Z' || record->state == 'X' || (record->flags & PF_EXITING);
}

static int read_process(struct scan *scan, int process, struct record *record)
{
	struct record now = {.pid = record->pid};
	int missing, error = read_once(scan, process, record, &missing);

	if (error || !missing || is_over(record))
		return error;
	/* A link is missing for want of permission, because there is none, or because the process ended meanwhile.
	 * In the last case the record is half of the living and half of the dead, so it is read anew. */
	error = read_stat(scan, process, &now);
	if (error || !is_over(&now))
		return error;
	now = (struct record){.pid = record->pid};
	error = read_once(scan, process, &now, &missing);
	*record = now;
	return error;
}

static int add_process(struct scan *scan, int pid)
{
	struct record record = {.pid = pid};
	char name[16];
	int process, error;

	snprintf(name, sizeof(name), "%d", pid);
	process = openat(scan->proc, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (process < 0) {
		error = errno;
	} else {
		error = read_process(scan, process, &record);
		close(process);
	}
	if (is_gone(error) || (process < 0 && is_refused(error))) {
		scan->vanished++; /* under hidepid a hidden process looks like one that is gone */
		return 0;
	}
	if (error) {
		note_error(scan, error);
		return error == ENOMEM ? error : 0;
	}
	error = grow(&scan->out, &scan->size, scan->used + sizeof(record));
	if (error)
		return error;
	memcpy(scan->out + scan->used, &record, sizeof(record));
	scan->used += sizeof(record);
	return 0;
}

/* ---- all processes ----------------------------------------------------------------------------------------- */

static int add_all(struct scan *scan)
{
	int copy = fcntl(scan->proc, F_DUPFD_CLOEXEC, 0);
	DIR *directory = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	int error = 0;

	if (!directory) {
		error = errno;
		if (copy >= 0)
			close(copy);
		return error;
	}
	while (!error) {
		errno = 0;
		entry = readdir(directory);
		if (!entry) {
			error = errno;
			break;
		}
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
			error = add_process(scan, atoi(entry->d_name));
	}
	closedir(directory);
	return error;
}

static int run_scan(struct scan *scan, const char *path, const int *pids, Py_ssize_t count)
{
	struct header header = {.magic = "nsvS", .version = LAYOUT_VERSION, .record_size = sizeof(struct record)};
	int error = grow(&scan->out, &scan->size, sizeof(header));

	if (error)
		return error;
	scan->used = sizeof(header);
	scan->page_size = header.page_size = (uint32_t)sysconf(_SC_PAGESIZE);
	header.ticks_per_second = (uint32_t)sysconf(_SC_CLK_TCK);
	header.started_ns = monotonic_ns();
	scan->proc = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (scan->proc < 0)
		return errno;
	if (pids)
		for (Py_ssize_t i = 0; i < count && !error; i++)
			error = add_process(scan, pids[i]);
	else
		error = add_all(scan);
	close(scan->proc);
	header.ended_ns = monotonic_ns();
	header.count = (uint32_t)((scan->used - sizeof(header)) / sizeof(struct record));
	header.vanished = scan->vanished;
	memcpy(header.errors, scan->errors, sizeof(header.errors));
	memcpy(scan->out, &header, sizeof(header));
	return error;
}

/* ---- Python ------------------------------------------------------------------------------------------------ */

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
	if (error)
		raise_errno(error);
	else
		result = PyBytes_FromStringAndSize(scan.out, (Py_ssize_t)scan.used);
done:
	free(scan.text.bytes);
	free(scan.out);
	free(pids);
	Py_XDECREF(path);
	return result;
}

static PyMethodDef methods[] = {
	{"scan", (PyCFunction)(void (*)(void))py_scan, METH_VARARGS | METH_KEYWORDS,
	 "scan(proc='/proc', pids=None) -> bytes: a header and one record per process (nsview/host/layout.py)."},
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
	.m_doc = "One pass over /proc as packed records.",
	.m_methods = methods,
	.m_slots = slots,
};

PyMODINIT_FUNC PyInit__scan(void)
{
	return PyModuleDef_Init(&definition);
}
