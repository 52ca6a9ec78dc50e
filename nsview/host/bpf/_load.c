/* Loading the task iterator through libbpf, which is looked for when asked and is no part of the build.
 *
 * Of all that is loaded only the link stays, one descriptor: the library's copy of the kernel's types is freed.
 */
#define _GNU_SOURCE
#include "_tasks.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bpf_object;
struct bpf_program;

/* libbpf 1's signatures (bpf/libbpf.h, bpf/bpf.h); all options are left out. */
typedef int (*print_function)(int level, const char *format, va_list arguments);

struct libbpf {
	print_function (*set_print)(print_function);
	struct bpf_object *(*open)(const void *object, size_t size, const void *options);
	int (*load)(struct bpf_object *);
	struct bpf_program *(*next_program)(const struct bpf_object *, struct bpf_program *);
	int (*program_fd)(const struct bpf_program *);
	int (*link)(int program, int target, enum bpf_attach_type type, const void *options);
	void (*close)(struct bpf_object *);
};

static const struct {
	const char *name;
	size_t offset;
} SYMBOLS[] = {
	{"libbpf_set_print", offsetof(struct libbpf, set_print)},
	{"bpf_object__open_mem", offsetof(struct libbpf, open)},
	{"bpf_object__load", offsetof(struct libbpf, load)},
	{"bpf_object__next_program", offsetof(struct libbpf, next_program)},
	{"bpf_program__fd", offsetof(struct libbpf, program_fd)},
	{"bpf_link_create", offsetof(struct libbpf, link)},
	{"bpf_object__close", offsetof(struct libbpf, close)},
};

/* What the library has to say goes to the thread that asked it: the end of it, where the reason stands. */
static _Thread_local struct {
	char *text;
	size_t room;
} words;

__attribute__((format(printf, 2, 0))) static int note_words(int level, const char *format, va_list arguments)
{
	char *said;
	int length;
	size_t kept, taken;

	if (level > 0 || !words.room) /* LIBBPF_WARN is 0 */
		return 0;
	length = vasprintf(&said, format, arguments);
	if (length < 0)
		return 0;
	taken = (size_t)length < words.room ? (size_t)length : words.room - 1;
	kept = strlen(words.text);
	if (kept > words.room - 1 - taken) {
		size_t dropped = kept - (words.room - 1 - taken);

		kept -= dropped;
		memmove(words.text, words.text + dropped, kept);
	}
	memcpy(words.text + kept, said + (size_t)length - taken, taken);
	words.text[kept + taken] = '\0';
	free(said);
	return 0;
}

static void *open_library(const char *name, struct libbpf *library, char *why, size_t room)
{
	void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);

	if (!handle)
		snprintf(why, room, "%s", dlerror());
	for (size_t i = 0; handle && i < sizeof(SYMBOLS) / sizeof(*SYMBOLS); i++) {
		void *symbol = dlsym(handle, SYMBOLS[i].name);

		if (!symbol) {
			snprintf(why, room, "%s", dlerror());
			dlclose(handle);
			return NULL;
		}
		memcpy((char *)library + SYMBOLS[i].offset, &symbol, sizeof(symbol));
	}
	return handle;
}

static int link_program(const struct libbpf *library, const void *object, size_t size)
{
	struct bpf_object *opened = library->open(object, size, NULL);
	int answer;

	if (!opened)
		return -errno;
	answer = library->load(opened);
	if (!answer) {
		struct bpf_program *program = library->next_program(opened, NULL);

		answer = library->link(program ? library->program_fd(program) : -1, 0, BPF_TRACE_ITER, NULL);
	}
	library->close(opened);
	return answer;
}

int load_iterator(const char *name, const void *object, size_t size, char *why, size_t room)
{
	struct libbpf library;
	print_function before;
	void *handle;
	int answer;

	why[0] = '\0';
	handle = open_library(name, &library, why, room);
	if (!handle)
		return -ELIBACC;
	words.text = why;
	words.room = room;
	before = library.set_print(note_words);
	answer = link_program(&library, object, size);
	library.set_print(before);
	words.room = 0;
	dlclose(handle);
	return answer;
}
