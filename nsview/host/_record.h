/* The record of a process: the one layout that every producer of snapshots fills, in the kernel and out of it.
 *
 * Unknown is not zero: each group of fields has a bit in `valid`. nsview/host/layout.py mirrors these structs and
 * compares sizes and version at import.
 */
#ifndef NSVIEW_RECORD_H
#define NSVIEW_RECORD_H

#include <stdint.h>

#define LAYOUT_VERSION 1
#define COMM_SIZE 64 /* user tasks have 15 bytes; kernel threads and workers report up to 63 (proc_task_name()) */
#define LINKS 10
#define ERRORS 8
#define PF_EXITING 0x4    /* include/linux/sched.h, and the next two */
#define PF_WQ_WORKER 0x20
#define PF_KTHREAD 0x200000

enum {
	VALID_STAT = 1 << 0,     /* all fields of /proc/PID/stat */
	VALID_UID = 1 << 1,      /* uid */
	VALID_SWITCHES = 1 << 2, /* voluntary, involuntary */
	VALID_INNER = 1 << 3,    /* inner_pid, depth */
	VALID_LINK = 1 << 16,    /* << i: links[i] */
};

/* links[] by position: nsview's column order mnpUuiCT, then what children will get. */
enum { MNT, NET, PID, USER, UTS, IPC, CGROUP, TIME, PID_FOR_CHILDREN, TIME_FOR_CHILDREN };

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
	uint64_t links[LINKS];             /* inodes */
	char comm[COMM_SIZE];              /* raw bytes, NUL-padded */
};

#endif
