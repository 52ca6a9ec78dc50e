/* The static program that every launcher is given.
 *
 * Without arguments it ends at once. With "namespaces" it prints those it is in, with "look" all that it finds around
 * it, one "NAME VALUE" a line, so that one can tell which of the things asked for each launcher did. It tries, where
 * trying is the only way to know.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRIED_TASKS 64
#define TRIED_MEMORY (128UL << 20)

static void namespaces(void)
{
    static const char *const NAMES[] = {"mnt", "net", "pid", "user", "uts", "ipc", "cgroup", "time"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        char path[32], text[64] = "";
        snprintf(path, sizeof path, "/proc/self/ns/%s", NAMES[i]);
        printf("%s %s\n", NAMES[i], readlink(path, text, sizeof text - 1) < 0 ? "?" : text);
    }
}

static void status(void)
{
    char line[256], name[32], value[64];
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "%31[^:]: %63s", name, value) == 2 &&
            (strncmp(name, "Cap", 3) == 0 || strcmp(name, "NoNewPrivs") == 0 || strcmp(name, "Seccomp") == 0))
            printf("%s %s\n", name, value);
    if (file != NULL)
        fclose(file);
}

static int null_works(void)
{
    int fd = open("/dev/null", O_WRONLY);
    int worked = fd >= 0 && isatty(fd) == 0 && write(fd, "x", 1) == 1;
    if (fd >= 0)
        close(fd);
    return worked;
}

static int loopback_is_up(void)
{
    struct ifreq request = {.ifr_name = "lo"};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    int up = fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_UP) != 0;
    if (fd >= 0)
        close(fd);
    return up;
}

/* Whether a child that uses more memory than the container may have is killed. */
static int memory_is_limited(void)
{
    int how = 0;
    pid_t pid = fork();
    if (pid == 0) {
        char *memory = mmap(NULL, TRIED_MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            _exit(1);
        for (size_t at = 0; at < TRIED_MEMORY; at += 4096)
            memory[at] = 1;
        _exit(0);
    }
    return pid > 0 && waitpid(pid, &how, 0) == pid && WIFSIGNALED(how) && WTERMSIG(how) == 9;
}

/* Whether fork fails before there are TRIED_TASKS children. */
static int tasks_are_limited(void)
{
    int gate[2], limited = 0, made = 0;
    if (pipe(gate) < 0)
        return 0;
    for (; made < TRIED_TASKS && !limited; made++) {
        pid_t pid = fork();
        if (pid == 0) {
            char byte;
            close(gate[1]);
            _exit(read(gate[0], &byte, 1) != 0);
        }
        limited = pid < 0 && errno == EAGAIN;
    }
    close(gate[1]);
    while (wait(NULL) > 0)
        ;
    return limited;
}

static void look(void)
{
    char host[65] = "?";
    struct rlimit files = {0};
    gethostname(host, sizeof host - 1);
    getrlimit(RLIMIT_NOFILE, &files);
    namespaces();
    status();
    printf("pid %d\nhostname %s\nnofile %lu\n", getpid(), host, (unsigned long)files.rlim_cur);
    printf("program_is_in_root %d\n", access("/program", X_OK) == 0);
    printf("usr_is_hidden %d\n", access("/usr", F_OK) < 0);
    printf("root_is_read_only %d\n", open("/written", O_CREAT | O_WRONLY, 0600) < 0 && errno == EROFS);
    printf("null_works %d\nloopback_is_up %d\n", null_works(), loopback_is_up());
    printf("chroot_is_filtered %d\n", chroot("/") < 0 && errno == ENOTUNIQ);
    fflush(stdout); /* what is buffered would be printed by the children too */
    printf("memory_is_limited %d\n", memory_is_limited());
    fflush(stdout);
    printf("tasks_are_limited %d\n", tasks_are_limited());
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "look") == 0)
        look();
    else if (argc == 2 && strcmp(argv[1], "namespaces") == 0)
        namespaces();
    return 0;
}
