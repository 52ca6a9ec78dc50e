/* What tasks.bpf.c writes of a process: a record whose numbers are still as the kernel keeps them. */
#ifndef NSVIEW_TASK_H
#define NSVIEW_TASK_H

#include "../_record.h"

/* In `valid`, of what only the reader can find out. */
enum {
	TORN = 1 << 30, /* it changed while it was read, or is half gone: read it from /proc */
};

struct task {
	struct record record; /* start_time, utime and stime in ns; rss in pages */
	uint64_t runtime;     /* ns on a CPU: exact, where utime and stime are sampled */
	uint64_t told_utime, told_stime; /* ns: what the kernel told last, and never falls below */
};

#endif
