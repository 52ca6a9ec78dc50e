"""A machine with Debian's packaged kernel, made of qemu and a read-only view of this machine's files.

It has everything this one has, at the same paths: a command that works here runs there as root, under the other
kernel, with cgroup v2 alone. What it writes goes to memory. Emulated (no KVM), so some 10 to 20 times slower.
"""

from __future__ import annotations

import os
import select
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vm.initramfs import pack

HERE = Path(__file__).parent
MODULES = ("virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay")
"""What reaches the host's files and the two channels to it; all of it is built as modules in Debian's kernel."""

NO_STATUS = 125
"""What a machine answers that ended without a status."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel's image, and the directory of its modules."""

    image: Path
    modules: Path

    @property
    def release(self) -> str:
        """As uname(2) tells it there."""
        return self.modules.name


def kernels(root: Path | None = None) -> Iterator[Kernel]:
    """Find Debian's kernel packages below ``root``: where they were unpacked (NSVIEW_VM_KERNEL), else installed."""
    root = root or Path(os.environ.get("NSVIEW_VM_KERNEL", "/"))
    for image in sorted(root.glob("boot/vmlinuz-*-amd64")):
        modules = root / "lib/modules" / image.name.removeprefix("vmlinuz-")
        if (modules / "kernel").is_dir():
            yield Kernel(image, modules)


def lacking() -> str | None:
    """Say what is missing here to make such a machine, or None."""
    if os.geteuid() != 0:
        return "root, to read every file: run with sudo"
    if shutil.which("qemu-system-x86_64") is None:
        return "qemu-system-x86_64: apt install qemu-system-x86"
    if shutil.which("busybox") is None:
        return "busybox: apt install busybox-static"
    if not list(kernels()):
        return (
            "a packaged kernel: apt install linux-image-amd64, or unpack it anywhere and name that in NSVIEW_VM_KERNEL"
        )
    return None


def _order(kernel: Kernel) -> list[str]:
    """MODULES and what they depend on, as paths below the modules' directory, in an order in which they load."""
    # Read from the modules themselves: modules.dep is made by depmod when a package is installed, not unpacked.
    paths = {path.name.removesuffix(".ko").replace("-", "_"): path for path in kernel.modules.glob("kernel/**/*.ko")}
    ordered: dict[str, str] = {}

    def visit(name: str) -> None:
        path = paths.get(name)
        if path is None or name in ordered:  # built in, or on the list
            return
        for needed in _depends(path.read_bytes()):
            visit(needed)
        ordered[name] = str(path.relative_to(kernel.modules))

    for name in MODULES:
        visit(name)
    return list(ordered.values())


def _depends(module: bytes) -> list[str]:
    """What a module's .modinfo section says it depends on."""
    _, found, rest = module.partition(b"\0depends=")
    names = rest.partition(b"\0")[0].decode() if found else ""
    return [name.replace("-", "_") for name in names.split(",") if name]


def archive(kernel: Kernel, command: str, *, root: str) -> bytes:
    """Make the initramfs that runs ``command``, a shell script; ``root`` says what / is then: "host" or "initramfs"."""
    busybox = shutil.which("busybox")
    assert busybox is not None
    modules = _order(kernel)
    return pack(
        {
            "/init": (HERE / "init").read_bytes(),
            "/inside": (HERE / "inside").read_bytes(),
            "/command": command.encode(),
            "/root-is": f"{root}\n".encode(),
            "/busybox": Path(busybox).read_bytes(),
            "/modules": "".join(f"/{Path(module).name}\n" for module in modules).encode(),
            **{f"/{Path(module).name}": (kernel.modules / module).read_bytes() for module in modules},
        }
    )


def script(command: Sequence[str], cwd: Path, env: Mapping[str, str]) -> str:
    """Write ``command`` as a shell script that runs it in ``cwd``."""
    lines = [f"cd {shlex.quote(str(cwd))}", *(f"export {name}={shlex.quote(value)}" for name, value in env.items())]
    return "\n".join([*lines, f"exec {shlex.join(command)}", ""])


def qemu(kernel: Kernel, initramfs: Path, console: Path, output: int, status: int) -> list[str]:
    """Write qemu's command line; ``output`` and ``status`` are descriptors that it writes to, ``console`` a file."""
    channels = {"output": f"/dev/fd/{output}", "status": f"/dev/fd/{status}"}
    command = ["setpriv", "--pdeathsig", "KILL"]  # it ends with us, however we end
    command += ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
    # la57=off: a page walk of four steps instead of five, each of which is emulated
    command += ["-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max,la57=off", "-smp", "2", "-m", "2G"]
    command += ["-kernel", str(kernel.image), "-initrd", str(initramfs)]
    command += ["-append", "console=ttyS0 quiet panic=-1 random.trust_cpu=on mitigations=off"]
    command += ["-serial", f"file:{console}"]
    command += ["-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap"]
    command += ["-device", "virtio-9p-pci,fsdev=host,mount_tag=host", "-device", "virtio-serial-pci"]
    for port, (name, path) in enumerate(channels.items(), 1):  # there: /dev/vport0p1 and /dev/vport0p2
        command += ["-chardev", f"file,id={name},path={path}", "-device", f"virtserialport,nr={port},chardev={name}"]
    return command


def run(
    kernel: Kernel,
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    root: str,
    timeout: float,
    printed: Callable[[bytes], object],
) -> int:
    """Run ``command`` in a machine of ``kernel`` and return its exit status, or NO_STATUS if it told none.

    ``printed`` gets what it prints, standard output and error together, as it comes. ``root`` is "host" or "initramfs".
    Ends the machine after ``timeout`` seconds and raises TimeoutError with the end of what its console said.
    """
    with tempfile.TemporaryDirectory(prefix="nsview-vm-") as scratch:
        initramfs, console = Path(scratch, "initramfs"), Path(scratch, "console")
        initramfs.write_bytes(archive(kernel, script(command, cwd, env), root=root))
        console.touch()
        with _Channel() as output, _Channel() as status:
            machine = subprocess.Popen(
                qemu(kernel, initramfs, console, output.writing, status.writing),
                stdin=subprocess.DEVNULL,
                pass_fds=(output.writing, status.writing),
            )
            try:
                output.only_read()
                status.only_read()
                end = time.monotonic() + timeout
                while output.readable(end - time.monotonic()) and (part := os.read(output.reading, 65536)):
                    printed(part)
                machine.wait(max(0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                raise TimeoutError(f"no end within {timeout:.0f} s; the console said:\n{_end_of(console)}") from None
            finally:
                machine.kill()
                machine.wait()
            told = os.read(status.reading, 16).strip()
        if not told.isdigit():
            printed(f"the machine ended without a status; its console said:\n{_end_of(console)}\n".encode())
            return NO_STATUS
        return int(told)


def _end_of(console: Path) -> str:
    return console.read_text(errors="replace")[-4000:]


class _Channel:
    """A pipe from a machine to us."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        self._open = {self.reading, self.writing}

    def __enter__(self) -> _Channel:
        return self

    def only_read(self) -> None:
        """Leave the writing to the machine, whose end is then the channel's."""
        self._close(self.writing)

    def readable(self, timeout: float) -> bool:
        """Whether something was written, or the machine ended, within ``timeout`` seconds."""
        return bool(select.select([self.reading], [], [], max(0.0, timeout))[0])

    def _close(self, fd: int) -> None:
        os.close(fd)
        self._open.remove(fd)

    def __exit__(self, *_: object) -> None:
        for fd in tuple(self._open):
            self._close(fd)
