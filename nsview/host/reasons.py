"""Why two processes are the same or differ in something: one line each, for the person who looks."""

from __future__ import annotations

UNKNOWN = "cannot be told: not permitted, or it has none"

SHARING_UNKNOWN = "cannot be told: not permitted, or neither has one (two empty pointers compare equal)"

DELAYS_UNKNOWN = (
    "not counted, or not permitted: the kernel counts for what is born while kernel.task_delayacct is 1, "
    "and tells who has CAP_NET_ADMIN"
)

CAPABILITIES_ELSEWHERE = "capabilities count only inside its own user namespace, however many they are"

NAMESPACES: dict[str, tuple[str, str]] = {
    "mnt": (
        "both see the same mounts; a mount by one appears to the other",
        "own mounts (CLONE_NEWNS): a copy at birth; later mounts pass only where propagation is shared",
    ),
    "net": (
        "both use the same links, addresses, routes and ports",
        "own network (CLONE_NEWNET): it began with a lo that is down, no route, all ports free",
    ),
    "pid": (
        "both are numbered together and can signal each other by number",
        "own process numbers (CLONE_NEWPID): its first process is 1, and its end kills the others",
    ),
    "user": (
        "ids and capabilities mean the same to both",
        "own user and group ids (CLONE_NEWUSER): root inside need not be root outside",
    ),
    "uts": (
        "a host name set by one is seen by the other",
        "own host and domain name (CLONE_NEWUTS): copied at birth, changed apart",
    ),
    "ipc": (
        "both see the same System V objects and POSIX queues",
        "own System V objects and POSIX queues (CLONE_NEWIPC): none at birth",
    ),
    "cgroup": (
        "cgroup paths are shown from the same root",
        "own cgroup root (CLONE_NEWCGROUP): the cgroup it had then shows as /; limits are as before",
    ),
    "time": (
        "the monotonic and boot-time clocks agree",
        "own clock offsets (CLONE_NEWTIME): monotonic and boot time may be shifted",
    ),
    "pid_for_children": (
        "children of both are born into one pid namespace",
        "children of the two are born into different pid namespaces; unshare(CLONE_NEWPID) moves only them",
    ),
    "time_for_children": (
        "children of both are born into one time namespace",
        "children of the two are born into different time namespaces; unshare(CLONE_NEWTIME) moves only them",
    ),
}
"""By the name of the link in /proc/PID/ns: why the same, why different."""

SHARING: dict[str, tuple[str, str]] = {
    "VM": (
        "one address space (CLONE_VM): what one writes the other reads",
        "separate memory: fork copies it page by page when written, execve gives a new one",
    ),
    "FILES": (
        "one descriptor table (CLONE_FILES): an open or close by one holds for both",
        "separate descriptor tables: copied at birth; open files themselves may still be common",
    ),
    "FS": (
        "one root, directory and umask (CLONE_FS): a chdir by one moves both",
        "separate root, directory and umask: copied at birth",
    ),
    "SIGHAND": (
        "one table of signal handlers (CLONE_SIGHAND)",
        "separate signal handlers: copied at birth, reset to default by execve where caught",
    ),
    "IO": (
        "one I/O context (CLONE_IO): the I/O scheduler takes them for one",
        "separate I/O contexts: the I/O scheduler serves each by itself",
    ),
    "SYSVSEM": (
        "one list of semaphore adjustments (CLONE_SYSVSEM): undone when the last of them ends",
        "separate semaphore adjustments: each is undone when its process ends",
    ),
}
"""By kcmp's type: why shared, why not."""

COMMON_FILES = (
    "one open file: a read, write or seek by one moves the other's place in it; so dup(2) and birth leave it",
    "no open file in common: what both have open was opened twice",
)
"""Why they have open files in common, why not."""

CAPABILITIES: dict[str, tuple[str, str]] = {
    "permitted": ("the same capabilities may be made effective", "the most it may make effective differs"),
    "effective": (
        "the kernel grants both the same privileges",
        "what the kernel checks when it asks for privilege",
    ),
    "inheritable": (
        "the same set kept over execve of a file that has it too",
        "kept over execve only if the file has it too",
    ),
    "bounding": ("the same limit on what execve can grant", "a limit on what execve can ever grant it"),
    "ambient": ("the same set kept over execve without privilege", "kept over execve of ordinary programs"),
}
"""By set: why the same, why different."""


def pick(same: bool | None, why_same: str, why_different: str, why_unknown: str = UNKNOWN) -> str:
    """Choose the line for an answer."""
    if same is None:
        return why_unknown
    return why_same if same else why_different
