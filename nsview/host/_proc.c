/* One pass over /proc, packed: a fixed-size record per process.
 *
 * A record is of one process. Everything is read relative to an O_PATH descriptor of /proc/PID, which pins the
 * kernel's struct pid: once that process is reaped, lookups through it fail and never reach a successor with the
 * same number (fs/proc/base.c: get_proc_task()). A process that vanishes midway is dropped and counted.
 */
#define _GNU_SOURCE
#include "_proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* nsview's column order mnpUuiCT, then what children will get. */
static const char *const LINK_NAMES[LINKS] = {
	[MNT] = "ns/mnt",
	[NET] = "ns/net",
	[PID] = "ns/pid",
	[USER] = "ns/user",
	[UTS] = "ns/uts",
	[IPC] = "ns/ipc",
	[CGROUP] = "ns/cgroup",
	[TIME] = "ns/time",
	[PID_FOR_CHILDREN] = "ns/pid_for_children",
	[TIME_FOR_CHILDREN] = "ns/time_for_children",
};

/* ---- small pieces ------------------------------------------------------------------------------------------ */

int is_gone(int error)
{
	return error == ENOENT || error == ESRCH;
}

int is_refused(int error)
{
	return error == EACCES || error == EPERM;
}

void note_error(struct scan *scan, int number)
{
	int slot = 0;

	while (slot < ERRORS - 1 && scan->header.errors[slot].number && scan->header.errors[slot].number != number)
		slot++;
	scan->header.errors[slot].number = number;
	scan->header.errors[slot].count++;
}

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int grow(void *pointer, size_t *size, size_t wanted)
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
	record->rss = field[24] * scan->header.page_size;
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

int add_record(struct scan *scan, const struct record *record)
{
	int error = grow(&scan->out, &scan->size, scan->used + sizeof(*record));

	if (error)
		return error;
	memcpy(scan->out + scan->used, record, sizeof(*record));
	scan->used += sizeof(*record);
	return 0;
}

int add_process(struct scan *scan, int pid)
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
		scan->header.vanished++; /* under hidepid a hidden process looks like one that is gone */
		return 0;
	}
	if (error) {
		note_error(scan, error);
		return error == ENOMEM ? error : 0;
	}
	return add_record(scan, &record);
}

int read_stat_of(struct scan *scan, int pid, struct record *record)
{
	char name[16];
	int process, error;

	snprintf(name, sizeof(name), "%d", pid);
	process = openat(scan->proc, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (process < 0)
		return errno;
	error = read_stat(scan, process, record);
	close(process);
	return error;
}

/* ---- all processes ----------------------------------------------------------------------------------------- */

int add_all(struct scan *scan)
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

int begin_scan(struct scan *scan, const char *path)
{
	int error = grow(&scan->out, &scan->size, sizeof(scan->header));

	if (error)
		return error;
	scan->used = sizeof(scan->header);
	memcpy(scan->header.magic, "nsvS", 4);
	scan->header.version = LAYOUT_VERSION;
	scan->header.record_size = sizeof(struct record);
	scan->header.page_size = (uint32_t)sysconf(_SC_PAGESIZE);
	scan->header.ticks_per_second = (uint32_t)sysconf(_SC_CLK_TCK);
	scan->header.started_ns = monotonic_ns();
	scan->proc = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return scan->proc < 0 ? errno : 0;
}

void end_scan(struct scan *scan)
{
	close(scan->proc);
	scan->header.ended_ns = monotonic_ns();
	scan->header.count = (uint32_t)((scan->used - sizeof(scan->header)) / sizeof(struct record));
	memcpy(scan->out, &scan->header, sizeof(scan->header));
}
