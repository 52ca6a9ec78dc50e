"""Our own seccomp profile, "default": what ordinary programs call, and nothing by which they could leave or harm.

It is an allow list: whatever is not named answers EPERM, and what is newer than all that is named ENOSYS, so that a
libc falls back to an older call. It holds for root too. REFUSED says what is left out on purpose, and why.
"""

from __future__ import annotations

import json
from typing import Any

ALLOWED: dict[str, str] = {
    "a process's own life": """
        execve execveat exit exit_group fork vfork wait4 waitid waitpid getpid getppid gettid getpgid getpgrp setpgid
        getsid setsid pidfd_open pidfd_send_signal pidfd_getfd set_tid_address set_robust_list get_robust_list rseq
        membarrier arch_prctl prctl getcpu restart_syscall set_thread_area get_thread_area modify_ldt
    """,
    "memory": """
        brk mmap mmap2 munmap mremap mprotect madvise msync mincore mlock mlock2 mlockall munlock munlockall
        memfd_create memfd_secret pkey_alloc pkey_free pkey_mprotect remap_file_pages process_madvise process_mrelease
        cachestat map_shadow_stack mseal
    """,
    "signals and waiting": """
        rt_sigaction rt_sigprocmask rt_sigpending rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigqueueinfo
        rt_tgsigqueueinfo sigaltstack sigreturn sigaction sigprocmask sigpending sigsuspend signal kill tkill tgkill
        pause signalfd signalfd4 eventfd eventfd2 rt_sigtimedwait_time64 poll ppoll ppoll_time64 select _newselect
        pselect6 pselect6_time64 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_wait epoll_wait_old
        epoll_pwait epoll_pwait2 futex futex_time64 futex_waitv futex_wake futex_wait futex_requeue
    """,
    "time, to read and to wait for": """
        clock_gettime clock_gettime64 clock_getres clock_getres_time64 clock_nanosleep clock_nanosleep_time64
        gettimeofday time nanosleep alarm getitimer setitimer times timer_create timer_delete timer_getoverrun
        timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64
        timerfd_settime timerfd_settime64
    """,
    "files": """
        open openat openat2 creat close close_range read write readv writev pread64 pwrite64 preadv pwritev preadv2
        pwritev2 lseek _llseek dup dup2 dup3 pipe pipe2 fcntl fcntl64 ioctl flock ftruncate ftruncate64 truncate
        truncate64 fallocate fadvise64 fadvise64_64 arm_fadvise64_64 fsync fdatasync sync syncfs sync_file_range
        sync_file_range2 sendfile sendfile64 splice tee vmsplice copy_file_range readahead stat stat64 lstat lstat64
        fstat fstat64 fstatat64 newfstatat statx statfs statfs64 fstatfs fstatfs64 access faccessat faccessat2 readlink
        readlinkat getdents getdents64 readdir getcwd chdir fchdir umask mkdir mkdirat rmdir unlink unlinkat rename
        renameat renameat2 link linkat symlink symlinkat mknod mknodat chmod fchmod fchmodat fchmodat2 chown chown32
        fchown fchown32 fchownat lchown lchown32 utime utimes utimensat utimensat_time64 futimesat getxattr lgetxattr
        fgetxattr listxattr llistxattr flistxattr setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr
        getxattrat setxattrat listxattrat removexattrat inotify_init inotify_init1 inotify_add_watch inotify_rm_watch
        name_to_handle_at io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents io_pgetevents_time64
        landlock_create_ruleset landlock_add_rule landlock_restrict_self
    """,
    "network, by sockets of the families below": """
        socketpair bind listen accept accept4 connect shutdown getsockname getpeername getsockopt setsockopt send sendto
        sendmsg sendmmsg recv recvfrom recvmsg recvmmsg recvmmsg_time64 socketcall
    """,
    "exchange between processes": """
        shmget shmat shmdt shmctl semget semop semctl semtimedop semtimedop_time64 msgget msgsnd msgrcv msgctl ipc
        mq_open mq_unlink mq_timedsend mq_timedsend_time64 mq_timedreceive mq_timedreceive_time64 mq_notify
        mq_getsetattr
    """,
    "ids and capabilities, which can only become fewer": """
        getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32 getresuid getresuid32 getresgid getresgid32
        getgroups getgroups32 setuid setuid32 setgid setgid32 setreuid setreuid32 setregid setregid32 setresuid
        setresuid32 setresgid setresgid32 setgroups setgroups32 setfsuid setfsuid32 setfsgid setfsgid32 capget capset
        seccomp
    """,
    "its share of the machine": """
        getrlimit ugetrlimit setrlimit prlimit64 getrusage getpriority setpriority ioprio_get ioprio_set sched_yield
        sched_getaffinity sched_setaffinity sched_getattr sched_setattr sched_getparam sched_setparam sched_getscheduler
        sched_setscheduler sched_get_priority_max sched_get_priority_min sched_rr_get_interval
        sched_rr_get_interval_time64
    """,
    "the system, to read": "uname sysinfo getrandom",
}
"""What is answered without a question, by purpose. A name that an architecture lacks is passed over there."""

REFUSED: dict[str, tuple[str, str]] = {
    "mounts": (
        "mount umount umount2 pivot_root chroot open_tree move_mount fsopen fsconfig fsmount fspick mount_setattr "
        "statmount listmount open_tree_attr quotactl quotactl_fd",
        "the tree of files is the launch's to arrange",
    ),
    "namespaces": ("unshare setns", "within a new user namespace a program has capabilities it was not given"),
    "the kernel itself": (
        "kexec_load kexec_file_load init_module finit_module delete_module create_module get_kernel_syms query_module "
        "reboot bpf lsm_set_self_attr syslog _sysctl sysfs acct uselib ustat nfsservctl vm86 vm86old",
        "they change or read the kernel, or are forgotten corners of it",
    ),
    "the machine": (
        "swapon swapoff settimeofday clock_settime clock_settime64 adjtimex clock_adjtime clock_adjtime64 stime "
        "sethostname setdomainname iopl ioperm vhangup",
        "they are everybody's",
    ),
    "keys": ("add_key request_key keyctl", "keyrings do not belong to any namespace"),
    "file handles": ("open_by_handle_at", "a handle opens files of the host that no path leads to"),
    "the memory's faults": (
        "userfaultfd",
        "it lets a program stop the kernel in the middle of a copy, which exploits are built on",
    ),
    "measuring": ("perf_event_open lookup_dcookie", "it sees beyond the process, by a large interface"),
    "other queues": (
        "io_uring_setup io_uring_enter io_uring_register",
        "a system call made through the queue is not filtered",
    ),
    "watching file systems": ("fanotify_init fanotify_mark", "it sees whole mounts"),
    "memory by nodes": (
        "mbind set_mempolicy get_mempolicy migrate_pages move_pages set_mempolicy_home_node",
        "they move other processes' memory too",
    ),
    "comparing": ("kcmp", "it tells about kernel pointers"),
}
"""Group, the calls in it, and why they are refused. Names that no machine of ours has are there for the reader."""

_NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWNS NEWCGROUP NEWUTS NEWIPC NEWUSER NEWPID NEWNET; NEWTIME's bit means something else to clone(2)."""

_UNIX, _INET, _INET6, _NETLINK, _PACKET = 1, 2, 10, 16, 17
_LAST_FAMILY = _PACKET
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
"""Linux, 32-bit Linux, both with the version of 2.6, and the question which it is; not the one without ASLR."""

_ENOSYS, _EAFNOSUPPORT = 38, 97


def _allow(names: str, *args: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"names": names.split(), "action": "SCMP_ACT_ALLOW", "args": list(args), **more}


def _argument(index: int, op: str, value: int, value_two: int = 0) -> dict[str, Any]:
    return {"index": index, "op": f"SCMP_CMP_{op}", "value": value, "valueTwo": value_two}


PROFILE: dict[str, Any] = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "archMap": [
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
    ],
    "syscalls": [
        *({"comment": purpose, **_allow(names)} for purpose, names in ALLOWED.items()),
        {
            "comment": "threads and processes, not namespaces",
            **_allow("clone", _argument(0, "MASKED_EQ", _NEW_NAMESPACES, 0)),
        },
        {
            "comment": "its flags lie in memory, where a filter cannot look: a libc that finds it missing takes clone",
            "names": ["clone3"],
            "action": "SCMP_ACT_ERRNO",
            "errnoRet": _ENOSYS,
        },
        *(
            {
                "comment": "of the kernel's many protocols the common ones",
                **_allow("socket", _argument(0, "EQ", family)),
            }
            for family in (_UNIX, _INET, _INET6, _NETLINK, _PACKET)
        ),
        {
            "comment": "vsock, alg, bluetooth and the like: as if the kernel had been built without them",
            "names": ["socket"],
            "action": "SCMP_ACT_ERRNO",
            "errnoRet": _EAFNOSUPPORT,
            "args": [_argument(0, "GT", _LAST_FAMILY)],
        },
        *(_allow("personality", _argument(0, "EQ", persona)) for persona in _PERSONALITIES),
        {
            "comment": "a tracer could change a call after the filter had seen it, before Linux 4.8",
            **_allow("ptrace process_vm_readv process_vm_writev", includes={"minKernel": "4.8"}),
        },
    ],
}
"""The profile in Docker's format."""

DEFAULT = json.dumps(PROFILE)
