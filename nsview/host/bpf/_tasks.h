/* Reading processes from the BPF task iterator, and loading it. */
#ifndef NSVIEW_TASKS_H
#define NSVIEW_TASKS_H

#include <stddef.h>
#include <stdint.h>

#include "../_proc.h"

/* What was told of a process's CPU time. Arrays of it are in the order of pids. */
struct told {
	int32_t pid;
	uint32_t pad;
	uint64_t start_time;   /* ns */
	uint64_t utime, stime; /* ns */
};

struct memory {
	struct told *told;
	size_t count;
};

/* Add a record per process that the iterator behind `link` yields. `before` is what the last reading put into `now`,
 * which the caller frees. Returns 0 or an errno.
 */
int add_tasks(struct scan *scan, int link, struct memory before, struct memory *now);

/* Load an object of one iterator through the shared library of this name and return a descriptor of its link, or -errno
 * (-ELIBACC when it is the library that cannot be loaded), with the reason in words.
 */
int load_iterator(const char *library, const void *object, size_t size, char *why, size_t room);

#endif
