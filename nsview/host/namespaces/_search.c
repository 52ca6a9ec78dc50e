/* What holds namespaces beside processes: open descriptors, sockets, single threads. Read with the GIL released.
 *
 * Each target is a process of a snapshot, pinned by a descriptor of /proc/PID and checked by its start time, so
 * that no answer is of a successor in its number. What is gone or refused is counted; the rows say what was seen.
 * A socket is duplicated for the moment it takes to ask it (pidfd_getfd(2)), and closed again.
 */
#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#define PIDFD_OF_THREAD O_EXCL /* linux/pidfd.h PIDFD_THREAD, since 6.9 */
#define SIOCGSKNS_ 0x894C      /* linux/sockios.h: the network namespace of a socket, as a descriptor */
#define NS_GET_NSTYPE_ 0xB703  /* linux/nsfs.h */
#define KCMP_FILES_ 2          /* linux/kcmp.h */
#define KINDS 8
#define TABLES 16 /* descriptor tables told apart within one process */

/* The order of spawner.namespaces.KINDS. */
static const char *const NAMES[KINDS] = {"mnt", "net", "pid", "user", "uts", "ipc", "cgroup", "time"};

enum how { BY_DESCRIPTOR, BY_SOCKET, BY_TASK, BY_AWAITING_TASK, OWN_TABLE };

struct target {
	int32_t pid, tid;
	uint64_t start_time; /* of the process, clock ticks */
	uint64_t net;        /* the network namespace whose sockets are of no interest; 0: none */
};

struct row {
	int32_t pid, tid, fd;
	uint16_t how, kind;
	uint64_t inode;
};

struct counts {
	uint32_t looked, refused; /* processes */
	uint32_t sockets, sockets_refused;
	int32_t error; /* the first errno that is neither "gone" nor "refused" */
};

struct search {
	struct row *rows;
	size_t used, size;
	int proc;    /* of /proc */
	dev_t nsfs;  /* the device of all namespace files */
	int sockets; /* are asked too */
	struct counts counts;
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

static void note(struct search *search, int error)
{
	if (!is_gone(error) && !is_refused(error) && !search->counts.error)
		search->counts.error = error;
}

static int add(struct search *search, const struct target *target, int tid, int fd, int how, int kind, uint64_t inode)
{
	if (search->used == search->size) {
		size_t size = search->size ? search->size * 2 : 256;
		struct row *rows = realloc(search->rows, size * sizeof(*rows));

		if (!rows)
			return ENOMEM;
		search->rows = rows;
		search->size = size;
	}
	search->rows[search->used++] = (struct row){
		.pid = target->pid, .tid = tid, .fd = fd, .how = (uint16_t)how, .kind = (uint16_t)kind, .inode = inode};
	return 0;
}

/* The number of a directory entry, -1 for "." and "..". */
static int number_of(const char *name)
{
	return *name >= '0' && *name <= '9' ? atoi(name) : -1;
}

/* "net:[4026531840]" -> kind and inode (fs/nsfs.c: ns_dname()); -1 for whatever else a link says. */
static int namespace_in(const char *text, uint64_t *inode)
{
	for (int kind = 0; kind < KINDS; kind++) {
		size_t length = strlen(NAMES[kind]);
		char *end;

		if (strncmp(text, NAMES[kind], length) || text[length] != ':' || text[length + 1] != '[')
			continue;
		*inode = strtoull(text + length + 2, &end, 10);
		return *end == ']' ? kind : -1;
	}
	return -1;
}

static ssize_t link_of(int directory, const char *name, char *text, size_t size)
{
	ssize_t length = readlinkat(directory, name, text, size - 1);

	if (length >= 0)
		text[length] = '\0';
	return length;
}

/* When the process started, 0 when it is gone. proc_pid_stat(5), field 22. */
static uint64_t started(int process)
{
	char text[1024];
	int fd = openat(process, "stat", O_RDONLY | O_CLOEXEC);
	ssize_t length;
	char *at;

	if (fd < 0)
		return 0;
	length = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (length <= 0)
		return 0;
	text[length] = '\0';
	at = strrchr(text, ')');
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at + 1, NULL, 10) : 0;
}

/* A descriptor of /proc/PID, -1 when it is not there any more. */
static int pin(struct search *search, const struct target *target)
{
	char name[16];
	int process;

	snprintf(name, sizeof(name), "%d", target->pid);
	process = openat(search->proc, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (process < 0) {
		note(search, errno);
		return -1;
	}
	if (started(process) != target->start_time) {
		close(process);
		return -1;
	}
	return process;
}

static DIR *listing(struct search *search, int process, const char *name)
{
	int fd = openat(process, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);

	if (!directory) {
		int error = errno;

		search->counts.refused += (uint32_t)is_refused(error);
		note(search, error);
		if (fd >= 0)
			close(fd);
	}
	return directory;
}

/* The flags of NS_GET_NSTYPE, in the order of NAMES. */
static const int FLAGS[KINDS] = {0x00020000, 0x40000000, 0x20000000, 0x10000000,
				 0x04000000, 0x08000000, 0x02000000, 0x00000080};

/* ---- descriptors and sockets ------------------------------------------------------------------------------- */

/* A pidfd of what `process` pins: that was not reaped yet when the number had been resolved, or its files were gone. */
static int pidfd_of(int process, const struct target *target)
{
	unsigned flags = target->tid == target->pid ? 0 : PIDFD_OF_THREAD;
	int pidfd = (int)syscall(SYS_pidfd_open, target->tid, flags);
	struct stat status;

	if (pidfd >= 0 && fstatat(process, "stat", &status, 0)) {
		close(pidfd);
		errno = ESRCH;
		return -1;
	}
	return pidfd;
}

/* The inode of the network namespace of another process's socket, 0 with errno when it cannot be told. */
static uint64_t network_of(int pidfd, int fd)
{
	struct stat status;
	int socket = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	int network, error;

	if (socket < 0)
		return 0;
	network = ioctl(socket, SIOCGSKNS_);
	error = errno;
	close(socket);
	if (network < 0) {
		errno = error;
		return 0;
	}
	error = fstat(network, &status) ? errno : 0;
	close(network);
	errno = error;
	return error ? 0 : status.st_ino;
}

static int look_at_socket(struct search *search, const struct target *target, int process, int *pidfd, int fd)
{
	uint64_t inode = 0;

	if (*pidfd == -1)
		*pidfd = pidfd_of(process, target);
	search->counts.sockets++;
	if (*pidfd >= 0)
		inode = network_of(*pidfd, fd);
	if (!inode) {
		/* EBADF: closed meanwhile. EINVAL, ENOSYS: a kernel that cannot open or ask it so (pidfd of a thread). */
		search->counts.sockets_refused += (uint32_t)(!is_gone(errno) && errno != EBADF);
		if (errno != EBADF && errno != EINVAL && errno != ENOSYS && errno != ENOTTY)
			note(search, errno);
		return 0;
	}
	return inode == target->net ? 0 : add(search, target, target->tid, fd, BY_SOCKET, 1, inode);
}

/* The kind and inode of a namespace that a descriptor is open on, -1 when it cannot be told. Its link may be the path
 * where the namespace is bound, so the file itself is asked; O_PATH comes first, for what the number stands for may
 * change any time, and opening a FIFO or a device has effects. */
static int namespace_behind(const struct search *search, int directory, const char *name, uint64_t *inode)
{
	struct stat status = {0};
	char own[32];
	int fd, flag = -1, pinned = openat(directory, name, O_PATH | O_CLOEXEC);

	if (pinned < 0)
		return -1;
	if (!fstat(pinned, &status) && status.st_dev == search->nsfs) {
		snprintf(own, sizeof(own), "thread-self/fd/%d", pinned);
		fd = openat(search->proc, own, O_RDONLY | O_CLOEXEC);
		if (fd >= 0) {
			flag = ioctl(fd, NS_GET_NSTYPE_);
			close(fd);
		}
	}
	close(pinned);
	*inode = status.st_ino;
	for (int kind = 0; kind < KINDS; kind++)
		if (FLAGS[kind] == flag)
			return kind;
	return -1;
}

/* What a descriptor is open on is told by its device and type: no path need be built, and with AT_STATX_DONT_SYNC no
 * server of a file system is asked, which might not answer. */
static int look_at_descriptor(struct search *search, const struct target *target, int process, int directory,
			      const char *name, int *pidfd)
{
	struct statx status;
	uint64_t inode;
	int kind;

	if (statx(directory, name, AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, &status))
		return 0;
	if (S_ISSOCK(status.stx_mode))
		return search->sockets ? look_at_socket(search, target, process, pidfd, atoi(name)) : 0;
	if (makedev(status.stx_dev_major, status.stx_dev_minor) != search->nsfs)
		return 0;
	kind = namespace_behind(search, directory, name, &inode);
	return kind < 0 ? 0 : add(search, target, target->tid, atoi(name), BY_DESCRIPTOR, kind, inode);
}

static int look_at_descriptors(struct search *search, const struct target *target)
{
	int process = pin(search, target), pidfd = -1, error = 0;
	struct dirent *entry;
	DIR *directory;
	char name[32];

	if (process < 0)
		return 0;
	search->counts.looked++;
	snprintf(name, sizeof(name), "task/%d/fd", target->tid);
	directory = listing(search, process, target->tid == target->pid ? "fd" : name);
	while (directory && !error && (entry = readdir(directory)))
		if (number_of(entry->d_name) >= 0)
			error = look_at_descriptor(search, target, process, dirfd(directory), entry->d_name, &pidfd);
	if (directory)
		closedir(directory);
	if (pidfd >= 0)
		close(pidfd);
	close(process);
	return error;
}

/* ---- threads ----------------------------------------------------------------------------------------------- */

struct links {
	uint64_t in[KINDS], pid_awaited, time_awaited; /* 0: there is none, or it is unknown */
	int error;                                     /* of the first link that was not just missing */
};

static uint64_t link_inode(struct links *links, int task, const char *name)
{
	char text[64];
	uint64_t inode;

	if (link_of(task, name, text, sizeof(text)) < 0) {
		if (!links->error && !is_gone(errno))
			links->error = errno;
		return 0;
	}
	return namespace_in(text, &inode) < 0 ? 0 : inode;
}

/* Once a thread has ended, all but its pid and user namespace are missing (kernel/exit.c: exit_task_namespaces()). */
static void read_links(struct links *links, int task)
{
	char name[32];

	memset(links, 0, sizeof(*links));
	for (int kind = 0; kind < KINDS && !links->error; kind++) {
		snprintf(name, sizeof(name), "ns/%s", NAMES[kind]);
		links->in[kind] = link_inode(links, task, name);
	}
	if (links->error)
		return;
	links->pid_awaited = link_inode(links, task, "ns/pid_for_children");
	links->time_awaited = link_inode(links, task, "ns/time_for_children");
}

static int add_task(struct search *search, const struct target *target, int tid, const struct links *its,
		    const struct links *main)
{
	int error = 0;

	for (int kind = 0; kind < KINDS && !error; kind++)
		if (its->in[kind] && its->in[kind] != main->in[kind])
			error = add(search, target, tid, -1, BY_TASK, kind, its->in[kind]);
	if (!error && its->pid_awaited && its->pid_awaited != main->pid_awaited && its->pid_awaited != its->in[2])
		error = add(search, target, tid, -1, BY_AWAITING_TASK, 2, its->pid_awaited);
	if (!error && its->time_awaited && its->time_awaited != main->time_awaited && its->time_awaited != its->in[7])
		error = add(search, target, tid, -1, BY_AWAITING_TASK, 7, its->time_awaited);
	return error;
}

/* 1 when no thread in `readers` has this one's descriptor table; refused or no kcmp(2): as the first has. */
static int has_own_table(const int *readers, int count, int tid)
{
	for (int i = 0; i < count; i++)
		if (syscall(SYS_kcmp, readers[i], tid, KCMP_FILES_, 0, 0) <= 0)
			return 0;
	return count < TABLES;
}

static int look_at_tasks(struct search *search, const struct target *target)
{
	int process = pin(search, target), readers[TABLES], count = 0, error = 0, refused = 0;
	struct links main, its;
	struct dirent *entry;
	DIR *directory;

	if (process < 0)
		return 0;
	search->counts.looked++;
	read_links(&main, process);
	if (main.in[0] || main.error)
		readers[count++] = target->pid;
	directory = listing(search, process, "task");
	while (directory && !error && (entry = readdir(directory))) {
		int tid = number_of(entry->d_name), task;

		if (tid < 0 || tid == target->pid)
			continue;
		task = openat(dirfd(directory), entry->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (task < 0) {
			note(search, errno);
			continue;
		}
		read_links(&its, task);
		close(task);
		refused |= is_refused(its.error);
		if (its.error && !is_refused(its.error))
			note(search, its.error);
		if (!its.in[0])
			continue;
		error = add_task(search, target, tid, &its, &main);
		if (!error && has_own_table(readers, count, tid)) {
			readers[count++] = tid;
			error = add(search, target, tid, -1, OWN_TABLE, 0, 0);
		}
	}
	search->counts.refused += (uint32_t)refused;
	if (directory)
		closedir(directory);
	close(process);
	return error;
}

/* ---- Python ------------------------------------------------------------------------------------------------ */

static PyObject *run(PyObject *arguments, int of_tasks)
{
	struct search search = {0};
	struct stat own = {0};
	const char *packed;
	Py_ssize_t length;
	int error = 0;
	PyObject *result = NULL;

	if (of_tasks ? !PyArg_ParseTuple(arguments, "y#:tasks", &packed, &length)
		     : !PyArg_ParseTuple(arguments, "y#p:descriptors", &packed, &length, &search.sockets))
		return NULL;
	if (length % (Py_ssize_t)sizeof(struct target)) {
		PyErr_SetString(PyExc_ValueError, "targets are not whole");
		return NULL;
	}
	Py_BEGIN_ALLOW_THREADS
	search.proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (search.proc < 0 || fstatat(search.proc, "self/ns/mnt", &own, 0))
		error = errno;
	search.nsfs = own.st_dev;
	for (Py_ssize_t at = 0; at < length && !error; at += (Py_ssize_t)sizeof(struct target)) {
		struct target target;

		memcpy(&target, packed + at, sizeof(target));
		error = of_tasks ? look_at_tasks(&search, &target)
				 : look_at_descriptors(&search, &target);
	}
	if (search.proc >= 0)
		close(search.proc);
	Py_END_ALLOW_THREADS
	if (error) {
		errno = error;
		PyErr_SetFromErrno(PyExc_OSError);
	} else {
		const struct counts *counts = &search.counts;

		result = Py_BuildValue("y#IIIIi", search.used ? (const char *)search.rows : "",
				       (Py_ssize_t)(search.used * sizeof(struct row)), counts->looked, counts->refused,
				       counts->sockets, counts->sockets_refused, counts->error);
	}
	free(search.rows);
	return result;
}

static PyObject *py_descriptors(PyObject *module, PyObject *arguments)
{
	(void)module;
	return run(arguments, 0);
}

static PyObject *py_tasks(PyObject *module, PyObject *arguments)
{
	(void)module;
	return run(arguments, 1);
}

static PyMethodDef methods[] = {
	{"descriptors", py_descriptors, METH_VARARGS,
	 "descriptors(targets, sockets) -> (rows, looked, refused, sockets, sockets_refused, errno): see holders.py."},
	{"tasks", py_tasks, METH_VARARGS, "tasks(targets) -> (rows, looked, refused, 0, 0, errno): see holders.py."},
	{NULL, NULL, 0, NULL},
};

static int fill(PyObject *module)
{
	if (PyModule_AddIntConstant(module, "TARGET_SIZE", sizeof(struct target)) ||
	    PyModule_AddIntConstant(module, "ROW_SIZE", sizeof(struct row)))
		return -1;
	return 0;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, fill}, {0, NULL}};

static struct PyModuleDef definition = {
	.m_base = PyModuleDef_HEAD_INIT,
	.m_name = "nsview.host.namespaces._search",
	.m_doc = "Descriptors, sockets and threads that hold namespaces, as packed rows.",
	.m_methods = methods,
	.m_slots = slots,
};

PyMODINIT_FUNC PyInit__search(void)
{
	return PyModuleDef_Init(&definition);
}
