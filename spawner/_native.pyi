SYSCALLS: dict[str, int]
PSEUDO_CALLS: dict[str, int]
STACK_BELOW: int
HEADER_SIZE: int
RECORD_SIZE: int
STEP_SIZE: int

def spawn(
    method: int,
    flags: int,
    exit_signal: int,
    image: object,
    relocations: bytes,
    stack_size: int,
    cgroup_fd: int,
    made: list[tuple[int, int, int, int, object]],
) -> None: ...
def fork(
    method: int,
    flags: int,
    image: object,
    relocations: bytes,
    cgroup_fd: int,
    made: list[tuple[int, int, int, int, object]],
) -> bool: ...
def reaper() -> tuple[bytes, int]: ...
def posix_spawn(
    path: bytes,
    argv: list[bytes],
    envp: list[bytes],
    moves: list[tuple[int, int]],
    defaults: int,
    new_session: bool,
    made: list[tuple[int, int, int, int, object]],
) -> None: ...
def waitid(pidfd: int, options: int) -> tuple[int, int, tuple[int, ...]] | None: ...
def dispositions() -> tuple[int, int]: ...
def probe_clone3() -> int: ...
def environment() -> bytes: ...
def read_file(path: bytes, size: int) -> bytes: ...
def call(number: int, *args: int | bytes | bytearray | memoryview | None) -> int: ...
