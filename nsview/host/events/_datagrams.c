/* Batches of datagrams from the kernel: as many as wait, in one call and with the GIL released once.
 *
 * One call for each datagram would give up the GIL each time, and get it back up to 5 ms later when another thread
 * computes (sys.getswitchinterval()): then some hundred events a second are the most that can be read.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct room {
	struct mmsghdr *headers;
	struct iovec *vectors;
	struct sockaddr_nl *senders;
};

static void give_back(struct room *room)
{
	free(room->headers);
	free(room->vectors);
	free(room->senders);
}

static int make_room(struct room *room, char *bytes, size_t size, size_t count)
{
	room->headers = calloc(count, sizeof(*room->headers));
	room->vectors = calloc(count, sizeof(*room->vectors));
	room->senders = calloc(count, sizeof(*room->senders));
	if (!room->headers || !room->vectors || !room->senders)
		return 0;
	for (size_t i = 0; i < count; i++) {
		room->vectors[i].iov_base = bytes + i * size;
		room->vectors[i].iov_len = size;
		room->headers[i].msg_hdr.msg_iov = &room->vectors[i];
		room->headers[i].msg_hdr.msg_iovlen = 1;
		room->headers[i].msg_hdr.msg_name = &room->senders[i];
		room->headers[i].msg_hdr.msg_namelen = sizeof(room->senders[i]);
	}
	return 1;
}

/* Port 0 is the kernel's; any process may send to a port or group whose number it knows (netlink(7)). */
static int is_from_kernel(const struct room *room, int i)
{
	return room->senders[i].nl_family == AF_NETLINK && room->senders[i].nl_pid == 0;
}

static PyObject *listed(const struct room *room, int got, size_t *cut)
{
	PyObject *list = PyList_New(0);

	for (int i = 0; list && i < got; i++) {
		PyObject *datagram;
		int failed;

		if (!is_from_kernel(room, i))
			continue;
		if (room->headers[i].msg_hdr.msg_flags & MSG_TRUNC) {
			*cut = room->vectors[i].iov_len;
			continue;
		}
		datagram = PyBytes_FromStringAndSize(room->vectors[i].iov_base, room->headers[i].msg_len);
		failed = !datagram || PyList_Append(list, datagram);
		Py_XDECREF(datagram);
		if (failed)
			Py_CLEAR(list);
	}
	return list;
}

PyDoc_STRVAR(receive_doc,
"receive(fd, buffer, size, /) -> (list[bytes], int, bool)\n--\n\n"
"Take what waits on a netlink socket, without waiting: the kernel's datagrams, how many there were of anybody, and\n"
"whether the kernel says that it had to drop some (ENOBUFS). `buffer` is room for datagrams of up to `size` bytes.\n"
"Raises OSError; EMSGSIZE for a datagram that does not fit.");

static PyObject *receive(PyObject *module, PyObject *args)
{
	int fd, got, error = 0, overrun = 0;
	Py_ssize_t size;
	size_t count, cut = 0;
	Py_buffer buffer;
	struct room room;
	PyObject *list;

	(void)module;
	if (!PyArg_ParseTuple(args, "iw*n", &fd, &buffer, &size))
		return NULL;
	count = size > 0 ? (size_t)(buffer.len / size) : 0;
	if (!count) {
		PyBuffer_Release(&buffer);
		PyErr_SetString(PyExc_ValueError, "no room for a datagram");
		return NULL;
	}
	if (!make_room(&room, buffer.buf, (size_t)size, count)) {
		give_back(&room);
		PyBuffer_Release(&buffer);
		return PyErr_NoMemory();
	}
	Py_BEGIN_ALLOW_THREADS
	/* The complaint stands before the datagrams that were queued when the queue was full: ask again. */
	do {
		got = recvmmsg(fd, room.headers, (unsigned)count, MSG_DONTWAIT, NULL);
		error = got < 0 ? errno : 0;
		overrun |= error == ENOBUFS;
	} while (error == ENOBUFS || error == EINTR);
	Py_END_ALLOW_THREADS
	if (error == EAGAIN)
		got = error = 0;
	list = error ? NULL : listed(&room, got, &cut);
	give_back(&room);
	PyBuffer_Release(&buffer);
	if (cut)
		error = EMSGSIZE;
	if (error) {
		Py_XDECREF(list);
		errno = error;
		return PyErr_SetFromErrno(PyExc_OSError);
	}
	return list ? Py_BuildValue("(NiN)", list, got, PyBool_FromLong(overrun)) : NULL;
}

static PyMethodDef methods[] = {
	{"receive", receive, METH_VARARGS, receive_doc},
	{NULL, NULL, 0, NULL},
};

static struct PyModuleDef_Slot slots[] = {
	{0, NULL},
};

static struct PyModuleDef definition = {
	PyModuleDef_HEAD_INIT, "_datagrams", "Batches of datagrams from the kernel.", 0, methods, slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__datagrams(void)
{
	return PyModuleDef_Init(&definition);
}
