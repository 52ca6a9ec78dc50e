/* The crowd of namespaces.py: idle processes with a few open files and a socket each, some in namespaces of their own.
 *
 *   namespaces_crowd COUNT EVERY   forks COUNT idle children, of which every EVERYth (0: none) enters four new
 *                                  namespaces; prints "ready", ends them when standard input ends
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILES 8

static void idle(int enters, int told)
{
	char word = 1;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < FILES; i++)
		if (open("/dev/null", O_RDONLY | O_CLOEXEC) < 0)
			word = 0;
	if (socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0)
		word = 0;
	if (enters && unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP))
		word = 0;
	if (write(told, &word, 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

int main(int count, char **arguments)
{
	int wanted, every, made = 0, ready = 0, told[2];
	pid_t *children;
	char word;

	if (count != 3 || pipe2(told, O_CLOEXEC)) {
		fprintf(stderr, "usage: %s COUNT EVERY\n", arguments[0]);
		return 2;
	}
	wanted = atoi(arguments[1]);
	every = atoi(arguments[2]);
	children = calloc((size_t)wanted, sizeof(*children));
	if (!children)
		return 1;
	for (; made < wanted; made++) {
		children[made] = fork();
		if (children[made] < 0)
			break;
		if (!children[made])
			idle(every && made % every == 0, told[1]);
		if (read(told[0], &word, 1) == 1)
			ready += word;
	}
	printf("%s\n", ready == wanted ? "ready" : "refused");
	fflush(stdout);
	while (getchar() != EOF)
		;
	for (int i = 0; i < made; i++)
		kill(children[i], SIGKILL);
	for (int i = 0; i < made; i++)
		waitpid(children[i], NULL, 0);
	return ready != wanted;
}
