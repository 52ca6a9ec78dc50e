/* The yardstick of snapshot.py: a plain C reader of the same files by absolute paths; and a crowd of idle processes.
 *
 *   reader read ROUNDS   reads stat, status and ten namespace links of every process; prints ns and how many, per round
 *   reader crowd COUNT   forks COUNT idle children, prints "ready", ends them when standard input ends, also before
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *const FILES[] = {"stat", "status"};
static const char *const LINKS[] = {"mnt", "net",    "pid",  "user",             "uts",
                                    "ipc", "cgroup", "time", "pid_for_children", "time_for_children"};

static uint64_t checksum;

static void read_process(const char *pid)
{
	char path[64], text[8192];

	for (size_t i = 0; i < sizeof(FILES) / sizeof(*FILES); i++) {
		snprintf(path, sizeof(path), "/proc/%s/%s", pid, FILES[i]);
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			continue;
		ssize_t length = read(fd, text, sizeof(text) - 1);

		for (ssize_t at = 0; at < length; at++)
			checksum += (unsigned char)text[at];
		close(fd);
	}
	for (size_t i = 0; i < sizeof(LINKS) / sizeof(*LINKS); i++) {
		snprintf(path, sizeof(path), "/proc/%s/ns/%s", pid, LINKS[i]);
		ssize_t length = readlink(path, text, sizeof(text) - 1);

		if (length > 0) {
			text[length] = '\0';
			checksum += strtoul(strchr(text, '[') + 1, NULL, 10);
		}
	}
}

static int read_rounds(int rounds)
{
	for (int round = 0; round < rounds; round++) {
		struct timespec before, after;
		struct dirent *entry;
		int processes = 0;
		DIR *proc;

		clock_gettime(CLOCK_MONOTONIC, &before);
		proc = opendir("/proc");
		if (!proc)
			return 1;
		while ((entry = readdir(proc)))
			if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9') {
				read_process(entry->d_name);
				processes++;
			}
		closedir(proc);
		clock_gettime(CLOCK_MONOTONIC, &after);
		printf("%lld %d\n", (after.tv_sec - before.tv_sec) * 1000000000LL + after.tv_nsec - before.tv_nsec,
		       processes);
	}
	return checksum == 0;
}

static int input_has_ended(void)
{
	struct pollfd input = {.fd = 0, .events = POLLIN};

	return poll(&input, 1, 0) > 0;
}

static int crowd(int count)
{
	pid_t *children = calloc((size_t)count, sizeof(*children));
	int made = 0;

	if (!children)
		return 1;
	for (; made < count && !input_has_ended(); made++) {
		children[made] = fork();
		if (children[made] < 0)
			break;
		if (!children[made]) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				pause();
		}
	}
	printf("%s\n", made == count ? "ready" : "refused");
	fflush(stdout);
	while (getchar() != EOF)
		;
	for (int i = 0; i < made; i++)
		kill(children[i], SIGKILL);
	for (int i = 0; i < made; i++)
		waitpid(children[i], NULL, 0);
	return made != count;
}

int main(int count, char **arguments)
{
	if (count == 3 && !strcmp(arguments[1], "read"))
		return read_rounds(atoi(arguments[2]));
	if (count == 3 && !strcmp(arguments[1], "crowd"))
		return crowd(atoi(arguments[2]));
	fprintf(stderr, "usage: %s read ROUNDS | crowd COUNT\n", arguments[0]);
	return 2;
}
