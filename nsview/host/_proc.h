/* Reading processes from /proc into records. */
#ifndef NSVIEW_PROC_H
#define NSVIEW_PROC_H

#include <stddef.h>
#include <stdint.h>

#include "_record.h"

struct buffer {
	char *bytes;
	size_t size;
};

/* A snapshot in the making: a header, then records. */
struct scan {
	int proc;
	struct header header;
	struct buffer text; /* one file's content */
	char *out;          /* header and records */
	size_t used, size;
};

int is_gone(int error);
int is_refused(int error);

/* Count an errno that is worth telling; the last slot collects whatever finds the table full. */
void note_error(struct scan *scan, int number);

/* Make room for `wanted` bytes; 0 or ENOMEM. */
int grow(void *pointer, size_t *size, size_t wanted);

/* Open /proc and start the clock, which returns 0 or an errno; after a 0, stop it and write the header. */
int begin_scan(struct scan *scan, const char *path);
void end_scan(struct scan *scan);

int add_record(struct scan *scan, const struct record *record);

/* Read one process, or all. An errno is of ours (no memory, no descriptor); a process's own is counted in the header. */
int add_process(struct scan *scan, int pid);
int add_all(struct scan *scan);

/* Read only what its stat file says; 0 or an errno. */
int read_stat_of(struct scan *scan, int pid, struct record *record);

#endif
