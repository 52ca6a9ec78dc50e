/* Ask the running kernel about clone flags: each call in a throw-away process, the child does nothing but exit.
 *
 *   raw_clone CONTEXT CGROUP_DIRECTORY|- < questions > answers
 *
 * A question is a line "VIA FLAGS EXIT_SIGNAL" (flags in hexadecimal), the answer a line with the errno, 0 for
 * accepted. VIA is clone3, clone or unshare, or probe: clone3 with CLONE_PIDFD and a bad address for the pidfd,
 * which answers EFAULT where the flags are known and make no process in any case.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#define PIDFD 0x00001000ULL
#define NOBODY 65534

struct arguments { /* struct clone_args, linux/sched.h, as of Linux 5.7 */
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size,
		cgroup;
};

enum state { UNREACHED, IN_CALL, ANSWERED, NO_CONTEXT };

struct answer { /* in memory shared with the throw-away process, which may be killed by what it asks for */
	volatile enum state state;
	volatile int error;
};

/* One system call that may return twice. The child exits at once, in registers alone: it may be on our stack,
 * in our memory, with another thread pointer. SYS_exit ends a thread without its process. */
static long call(long number, long a, long b, long c, long d, long e)
{
#if defined(__x86_64__)
	long result;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xor %%edi, %%edi\n\t"
			 "mov %[exit], %%eax\n\t"
			 "syscall\n"
			 "1:"
			 : "=a"(result)
			 : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), [exit] "i"(SYS_exit)
			 : "rcx", "r11", "memory", "cc");
	return result;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	__asm__ volatile("svc #0\n\t"
			 "cbnz x0, 1f\n\t"
			 "mov x8, %[exit]\n\t"
			 "svc #0\n"
			 "1:"
			 : "+r"(x0), "+r"(x8)
			 : "r"(x1), "r"(x2), "r"(x3), "r"(x4), [exit] "i"(SYS_exit)
			 : "memory", "cc");
	return x0;
#else
#error "x86_64 and aarch64 only"
#endif
}

static long ask(const char *via, uint64_t flags, int exit_signal, int cgroup)
{
	static int pidfd, parent_tid, child_tid;
	struct arguments arguments = {
		.flags = flags,
		.pidfd = (uintptr_t)&pidfd,
		.child_tid = (uintptr_t)&child_tid,
		.parent_tid = (uintptr_t)&parent_tid,
		.exit_signal = (uint64_t)(int64_t)exit_signal,
		.cgroup = (uint64_t)cgroup,
	};
	if (!strcmp(via, "unshare"))
		return syscall(SYS_unshare, flags) ? -errno : 0;
	if (!strcmp(via, "clone"))
		/* exit_signal is part of the flags; thread pointer and child_tid change places between machines */
#if defined(__x86_64__)
		return call(SYS_clone, (long)(flags | (unsigned)exit_signal), 0, (long)&parent_tid, (long)&child_tid, 0);
#else
		return call(SYS_clone, (long)(flags | (unsigned)exit_signal), 0, (long)&parent_tid, 0, (long)&child_tid);
#endif
	if (!strcmp(via, "probe")) {
		arguments.flags |= PIDFD;
		arguments.pidfd = 1;
	}
	return call(SYS_clone3, (long)&arguments, sizeof(arguments), 0, 0, 0);
}

static void *stand_by(void *unused)
{
	for (;;)
		pause();
	return unused;
}

/* Become the caller that the questions are about; 0 or -1 with errno. */
static int enter(const char *context)
{
	pthread_t thread;

	if (!strcmp(context, "plain") || !strcmp(context, "init"))
		return 0;
	if (!strcmp(context, "unprivileged"))
		return setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY) ? -1 : 0;
	if (!strcmp(context, "chrooted"))
		return chroot("/proc");
	if (!strcmp(context, "unmapped"))
		return unshare(CLONE_NEWUSER);
	if (!strcmp(context, "pid-pending"))
		return unshare(CLONE_NEWPID);
	if (!strcmp(context, "time-pending"))
		return unshare(CLONE_NEWTIME);
	if (!strcmp(context, "threaded")) {
		errno = pthread_create(&thread, NULL, stand_by, NULL);
		return errno ? -1 : 0;
	}
	errno = EINVAL;
	return -1;
}

static void throw_away(struct answer *answer, const char *context, const char *via, uint64_t flags, int exit_signal,
		       int cgroup)
{
	sigset_t all;
	long result;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (enter(context)) {
		answer->error = errno;
		answer->state = NO_CONTEXT;
		_exit(0);
	}
	sigfillset(&all); /* the child's exit signal must not end us before we answered */
	sigprocmask(SIG_SETMASK, &all, NULL);
	answer->state = IN_CALL;
	result = ask(via, flags, exit_signal, cgroup);
	answer->error = result < 0 ? (int)-result : 0;
	answer->state = ANSWERED;
	_exit(0);
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

int main(int argc, char **argv)
{
	struct answer *answer;
	char via[16];
	unsigned long long flags;
	int exit_signal, cgroup = -1;

	if (argc != 3) {
		fprintf(stderr, "usage: raw_clone CONTEXT CGROUP_DIRECTORY|-\n");
		return 2;
	}
	if (strcmp(argv[2], "-") && (cgroup = open(argv[2], O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
		fail(argv[2]);
	answer = mmap(NULL, sizeof(*answer), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (answer == MAP_FAILED)
		fail("mmap");
	/* Orphans come to us, so that nothing is left when we end. */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) || prctl(PR_SET_PDEATHSIG, SIGKILL))
		fail("prctl");

	while (scanf("%15s %llx %d", via, &flags, &exit_signal) == 3) {
		/* clone without flags is fork; with CLONE_NEWPID it makes process 1 of a new namespace. */
		long kind = SIGCHLD | (strcmp(argv[1], "init") ? 0 : CLONE_NEWPID);
		long pid;

		answer->state = UNREACHED;
		pid = syscall(SYS_clone, kind, 0, 0, 0, 0);
		if (pid < 0)
			fail("clone");
		if (pid == 0)
			throw_away(answer, argv[1], via, flags, exit_signal, cgroup);
		while (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR)
			;
		if (answer->state != ANSWERED) {
			fprintf(stderr, "%s %s %llx %d: %s\n", argv[1], via, flags, exit_signal,
				answer->state == NO_CONTEXT ? strerror(answer->error) : "ended in the call");
			return 1;
		}
		printf("%d\n", answer->error);
	}
	return 0;
}
