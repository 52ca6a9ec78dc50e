/* A BPF task iterator: each read of it runs this for every task and yields a struct task per process.
 *
 * What it says is what /proc/PID/{stat,status,ns} say, by the same rules (fs/proc/array.c, kernel/nsproxy.c and the
 * functions named below). It runs under RCU without locks: pointers that are not freed by RCU are read twice, and a
 * task that changed meanwhile is marked as torn. `nsview/host/bpf/build` makes the object of it.
 */
#include "_kernel.h"
#include "_task.h"

#define READ(into, from) bpf_probe_read_kernel(&(into), sizeof(into), &(from))
#define AGAIN(pointer) (*(typeof(pointer) volatile *)&(pointer))
/* A value returning atomic operation orders everything before it against everything after. */
#define FENCE(word) __sync_fetch_and_add(&(word), 1)
#define MOST_THREADS (1 << 22) /* PID_MAX_LIMIT */

/* include/linux/sched.h */
#define TASK_REPORT 0x7f
#define TASK_REPORT_IDLE 0x80
#define TASK_UNINTERRUPTIBLE 0x2
#define TASK_IDLE 0x402
#define TASK_RTLOCK_WAIT 0x1000
#define TASK_FROZEN 0x8000

enum { MM_FILEPAGES, MM_ANONPAGES, MM_SWAPENTS, MM_SHMEMPAGES }; /* include/linux/mm_types_task.h */

/* ---- pids ---------------------------------------------------------------------------------------------------- */

static const struct upid *upid_at(const struct pid *pid, u32 level)
{
	u64 offset = (u64)level * kernel_sizeof(struct upid);

	offset &= 0x3ff; /* MAX_PID_NS_LEVEL is 32, and the verifier wants to see a bound */
	return (const void *)pid + byte_offset(((struct pid *)0)->numbers) + offset;
}

/* pid_nr_ns(): the number seen from the reader's namespace; 0 when it is not seen from there. */
static int number(const struct pid *pid, const struct pid *reader)
{
	struct pid_namespace *theirs = 0, *ours = 0;
	u32 level = reader->level;
	int nr = 0;

	if (!pid || pid->level < level)
		return 0;
	if (!level)
		return pid->numbers[0].nr;
	READ(theirs, upid_at(pid, level)->ns);
	READ(ours, upid_at(reader, level)->ns);
	READ(nr, upid_at(pid, level)->nr);
	return theirs == ours ? nr : 0;
}

static void put_inner(struct record *record, const struct pid *pid, const struct pid *reader)
{
	struct pid_namespace *own = 0;
	u32 level = pid->level, inum = 0;

	if (!level) {
		record->inner_pid = pid->numbers[0].nr;
		inum = pid->numbers[0].ns->ns.inum;
	} else {
		READ(record->inner_pid, upid_at(pid, level)->nr);
		READ(own, upid_at(pid, level)->ns);
		READ(inum, own->ns.inum);
	}
	record->depth = level - reader->level;
	record->links[PID] = inum;
	record->valid |= VALID_INNER | VALID_LINK << PID;
}

/* ---- sums over threads --------------------------------------------------------------------------------------- */

struct sums {
	const struct list_head *at, *head;
	u64 utime, stime, runtime, minflt, majflt;
};

static long add_thread(u32 index, struct sums *sums)
{
	const struct task_struct *thread;
	u64 utime = 0, stime = 0, runtime = 0;
	unsigned long minflt = 0, majflt = 0;

	if (sums->at == sums->head)
		return 1;
	thread = (const void *)sums->at - byte_offset(((struct task_struct *)0)->thread_node);
	READ(utime, thread->utime);
	READ(stime, thread->stime);
	READ(runtime, thread->se.sum_exec_runtime);
	READ(minflt, thread->min_flt);
	READ(majflt, thread->maj_flt);
	sums->utime += utime;
	sums->stime += stime;
	sums->runtime += runtime;
	sums->minflt += minflt;
	sums->majflt += majflt;
	return READ(sums->at, thread->thread_node.next) != 0;
}

/* thread_group_cputime() and the faults in do_task_stat(): the dead threads' sums and the living. A thread moves from
 * these to those under stats_lock, whose sequence is odd meanwhile (__exit_signal()).
 */
static void put_sums(struct task *out, const struct task_struct *task, const struct signal_struct *signal)
{
	u32 sequence = AGAIN(signal->stats_lock.seqcount.seqcount.sequence), order = 0;
	struct sums sums = {.head = &signal->thread_head};

	FENCE(order);
	sums.utime = signal->utime;
	sums.stime = signal->stime;
	sums.runtime = signal->sum_sched_runtime;
	sums.minflt = signal->min_flt;
	sums.majflt = signal->maj_flt;
	if (signal->nr_threads == 1) {
		sums.utime += task->utime;
		sums.stime += task->stime;
		sums.runtime += task->se.sum_exec_runtime;
		sums.minflt += task->min_flt;
		sums.majflt += task->maj_flt;
	} else {
		READ(sums.at, signal->thread_head.next);
		if (bpf_loop(MOST_THREADS, add_thread, &sums, 0) < 0 || sums.at != sums.head)
			out->record.valid |= TORN;
	}
	out->record.utime = sums.utime;
	out->record.stime = sums.stime;
	out->record.minflt = sums.minflt;
	out->record.majflt = sums.majflt;
	out->runtime = sums.runtime;
	out->told_utime = signal->prev_cputime.utime;
	out->told_stime = signal->prev_cputime.stime;
	FENCE(order);
	if (sequence & 1 || sequence != AGAIN(signal->stats_lock.seqcount.seqcount.sequence))
		out->record.valid |= TORN;
}

/* ---- the rest of stat and status ------------------------------------------------------------------------------ */

/* __task_state_index() and task_state_array */
static char letter(u32 state, u32 exit_state)
{
	u32 shown = (state | exit_state) & TASK_REPORT;

	if ((state & TASK_IDLE) == TASK_IDLE)
		shown = TASK_REPORT_IDLE;
	if (state & (TASK_RTLOCK_WAIT | TASK_FROZEN))
		shown = TASK_UNINTERRUPTIBLE;
	return shown & 0x80 ? 'I' : shown & 0x40 ? 'P' : shown & 0x20 ? 'Z' : shown & 0x10 ? 'X' : shown & 0x8 ? 't'
	     : shown & 0x4 ? 'T' : shown & 0x2 ? 'D' : shown & 0x1 ? 'S' : 'R';
}

static u64 positive(s64 pages)
{
	return pages > 0 ? pages : 0;
}

static __attribute__((always_inline)) u64 pages_of(const struct mm_struct___atomic *mm, u32 member)
{
	s64 pages = 0;

	READ(pages, mm->rss_stat.count[member].counter); /* 6.1 takes no direct access to an array of typedefs */
	return positive(pages);
}

/* get_mm_rss(), in pages; of kernel threads that borrow somebody's memory get_task_mm() says nothing. */
static u64 resident(const struct task_struct *task)
{
	const struct mm_struct *mm = task->mm;
	const struct mm_struct___percpu *percpu = (const void *)mm;
	const struct mm_struct___atomic *atomic = (const void *)mm;

	if (!mm || task->flags & PF_KTHREAD)
		return 0;
	if (exists(percpu->rss_stat[0].count))
		return positive(percpu->rss_stat[MM_FILEPAGES].count) + positive(percpu->rss_stat[MM_ANONPAGES].count) +
		       positive(percpu->rss_stat[MM_SHMEMPAGES].count);
	return pages_of(atomic, MM_FILEPAGES) + pages_of(atomic, MM_ANONPAGES) + pages_of(atomic, MM_SHMEMPAGES);
}

/* new_encode_dev(tty_devnum()) */
static int tty_number(const struct tty_struct *tty)
{
	u32 major, minor;

	if (!tty)
		return 0;
	major = tty->driver->major;
	minor = tty->driver->minor_start + tty->index;
	return (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
}

/* timens_add_boottime_ns(): the offset is of the reader's time namespace. */
static s64 boot_offset(const struct task_struct *reader)
{
	const struct time_namespace *time = reader->nsproxy->time_ns;

	return time->offsets.boottime.tv_sec * 1000000000 + time->offsets.boottime.tv_nsec;
}

/* ---- namespaces ---------------------------------------------------------------------------------------------- */

static void put(struct record *record, u32 link, u32 inum)
{
	record->links[link] = inum;
	record->valid |= VALID_LINK << link;
}

/* exit_task_namespaces() takes the proxy away long before the task is a zombie. */
static void put_namespaces(struct record *record, const struct nsproxy *proxy)
{
	if (!proxy)
		return;
	put(record, MNT, proxy->mnt_ns->ns.inum);
	put(record, NET, proxy->net_ns->ns.inum);
	put(record, UTS, proxy->uts_ns->ns.inum);
	put(record, IPC, proxy->ipc_ns->ns.inum);
	put(record, CGROUP, proxy->cgroup_ns->ns.inum);
	put(record, TIME, proxy->time_ns->ns.inum);
	put(record, TIME_FOR_CHILDREN, proxy->time_ns_for_children->ns.inum);
	/* pidns_for_children_get(): it is not there before its first process, nor after. */
	if (proxy->pid_ns_for_children->child_reaper)
		put(record, PID_FOR_CHILDREN, proxy->pid_ns_for_children->ns.inum);
}

/* ---- one task ------------------------------------------------------------------------------------------------- */

SEC("iter/task")
int write_task(struct bpf_iter__task *context)
{
	struct task_struct *task = context->task, *current = bpf_get_current_task_btf();
	struct task out = {};
	struct record *record = &out.record;

	if (!task || task->pid != task->tgid)
		return 0;

	struct signal_struct *signal = task->signal;
	struct tty_struct *tty = signal->tty;
	struct nsproxy *proxy = task->nsproxy;
	struct mm_struct *mm = task->mm;
	struct pid *pid = task->thread_pid, *reader = current->thread_pid;

	if (!pid || !reader || !task->sighand) /* lock_task_sighand(): reaped; zero in `valid` says so */
		goto write;
	record->valid = VALID_STAT | VALID_UID | VALID_SWITCHES;
	record->pid = number(pid, reader);
	record->ppid = number(task->real_parent->signal->pids[PIDTYPE_TGID], reader);
	record->pgrp = number(signal->pids[PIDTYPE_PGID], reader);
	record->session = number(signal->pids[PIDTYPE_SID], reader);
	record->tty = tty_number(tty);
	record->uid = task->real_cred->euid.val;
	record->flags = task->flags;
	record->threads = signal->nr_threads;
	record->state = letter(task->__state, task->exit_state);
	record->start_time = task->start_boottime + boot_offset(current);
	record->rss = resident(task);
	record->voluntary = task->nvcsw;
	record->involuntary = task->nivcsw;
	bpf_probe_read_kernel_str(record->comm, sizeof(task->comm), task->comm);
	put_sums(&out, task, signal);
	put_inner(record, pid, reader);
	put(record, USER, task->real_cred->user_ns->ns.inum);
	put_namespaces(record, proxy);
	if (!AGAIN(task->sighand) || AGAIN(task->nsproxy) != proxy || AGAIN(task->mm) != mm || AGAIN(signal->tty) != tty)
		record->valid |= TORN;
write:
	bpf_seq_write(context->meta->seq, &out, sizeof(out));
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL"; /* bpf_probe_read_kernel() is for GPL-compatible programs */
