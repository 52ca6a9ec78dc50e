/* Reading the BPF task iterator: what the kernel keeps, in the units and by the rules of /proc.
 *
 * tasks.bpf.c writes a struct task per process. What it could not read whole comes from /proc, and so do the names of
 * workqueue's threads, which the kernel makes up when asked (wq_worker_comm()).
 */
#define _GNU_SOURCE
#include "_tasks.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "_task.h"

#define NS_PER_SECOND 1000000000u
#define USER_COMM 15 /* TASK_COMM_LEN - 1: what a task itself has room for */

/* ---- the bytes ------------------------------------------------------------------------------------------------ */

static int open_iterator(int link)
{
	union bpf_attr attributes = {0};

	attributes.iter_create.link_fd = (uint32_t)link;
	return (int)syscall(SYS_bpf, BPF_ITER_CREATE, &attributes, sizeof(attributes));
}

static int read_all(int link, struct buffer *raw, size_t *length)
{
	int fd = open_iterator(link), error = 0;
	ssize_t got;

	*length = 0;
	if (fd < 0)
		return errno;
	for (;;) {
		error = grow(&raw->bytes, &raw->size, *length + 65536);
		if (error)
			break;
		got = read(fd, raw->bytes + *length, raw->size - *length);
		if (got > 0) {
			*length += (size_t)got;
		} else if (!got) {
			break;
		} else if (errno != EAGAIN && errno != EINTR) { /* a million threads without output: bpf_seq_read() */
			error = errno;
			break;
		}
	}
	close(fd);
	return error;
}

/* ---- CPU time ------------------------------------------------------------------------------------------------- */

static uint64_t larger(uint64_t one, uint64_t other)
{
	return one > other ? one : other;
}

/* cputime_adjust() in kernel/sched/cputime.c: the ticks that hit in user and kernel mode say in which proportion the
 * exact time on a CPU is divided, and neither part ever falls below what was told before. The kernel remembers that of
 * readers of /proc; we remember what we told, and where both cannot be kept to, what we told.
 */
static void adjust(struct task *task, const struct told *before)
{
	uint64_t utime = task->record.utime, stime = task->record.stime, runtime = task->runtime;
	uint64_t told_utime = task->told_utime, told_stime = task->told_stime;

	if (before) {
		told_utime = larger(told_utime, before->utime);
		told_stime = larger(told_stime, before->stime);
		if (told_utime + told_stime > runtime) {
			told_utime = before->utime;
			told_stime = before->stime;
		}
	}
	if (told_utime + told_stime < runtime) {
		if (!stime)
			stime = 0;
		else if (!utime)
			stime = runtime;
		else
			stime = (uint64_t)((unsigned __int128)stime * runtime / (stime + utime));
		stime = larger(stime, told_stime);
		utime = runtime - stime;
		if (utime < told_utime) {
			utime = told_utime;
			stime = runtime - utime;
		}
		told_utime = utime;
		told_stime = stime;
	}
	task->record.utime = told_utime;
	task->record.stime = told_stime;
}

/* ---- one process ---------------------------------------------------------------------------------------------- */

static int is_named_by_proc(const struct record *record)
{
	if (record->flags & PF_WQ_WORKER)
		return 1;
	return record->flags & PF_KTHREAD && strnlen(record->comm, COMM_SIZE) == USER_COMM; /* or longer: full_name */
}

/* One that is gone or hidden by now keeps the name that the kernel has room for. Returns 0 or an errno. */
static int name_from_proc(struct scan *scan, struct record *record)
{
	struct record stat = {.pid = record->pid};
	int error = read_stat_of(scan, record->pid, &stat);

	if (is_gone(error) || is_refused(error))
		return 0;
	if (!error && stat.start_time == record->start_time)
		memcpy(record->comm, stat.comm, COMM_SIZE);
	return error;
}

static int add_task(struct scan *scan, struct task *task)
{
	struct record *record = &task->record;
	uint64_t tick = NS_PER_SECOND / scan->header.ticks_per_second;
	int error = 0;

	record->start_time /= tick; /* nsec_to_clock_t() */
	record->utime /= tick;
	record->stime /= tick;
	record->rss *= scan->header.page_size;
	if (is_named_by_proc(record))
		error = name_from_proc(scan, record);
	if (!error)
		return add_record(scan, record);
	note_error(scan, error);
	return error == ENOMEM ? error : 0;
}

/* ---- all processes -------------------------------------------------------------------------------------------- */

static int add_each(struct scan *scan, struct task *task, const struct task *end, struct memory before,
                    struct memory *now)
{
	const struct told *old = before.told, *last = old + before.count;
	int error = 0;

	/* Every pid namespace has a process 1. Some kernels leave it out of their iterators. */
	if (task == end || task->record.pid != 1)
		error = add_process(scan, 1);
	for (; task < end && !error; task++) {
		struct record *record = &task->record;
		const struct told *same = NULL;

		if (!record->valid) {
			scan->header.vanished++;
			continue;
		}
		if (record->valid & TORN) {
			error = add_process(scan, record->pid);
			continue;
		}
		while (old < last && old->pid < record->pid)
			old++;
		if (old < last && old->pid == record->pid && old->start_time == record->start_time)
			same = old;
		adjust(task, same);
		now->told[now->count++] = (struct told){
			.pid = record->pid,
			.start_time = record->start_time,
			.utime = record->utime,
			.stime = record->stime,
		};
		error = add_task(scan, task);
	}
	return error;
}

int add_tasks(struct scan *scan, int link, struct memory before, struct memory *now)
{
	struct buffer raw = {0};
	size_t length, count;
	int error = read_all(link, &raw, &length);

	if (!error && length % sizeof(struct task))
		error = EPROTO;
	if (error)
		goto done;
	count = length / sizeof(struct task);
	now->told = malloc((count + 1) * sizeof(*now->told));
	if (!now->told)
		error = ENOMEM;
	if (!error)
		error = grow(&scan->out, &scan->size, scan->used + count * sizeof(struct record));
	if (!error)
		error = add_each(scan, (struct task *)(void *)raw.bytes, (struct task *)(void *)raw.bytes + count, before, now);
done:
	free(raw.bytes);
	return error;
}
