"""What a process used is what the kernel and the process itself say."""

from __future__ import annotations

import os
import time

import pytest
from children import rename
from leftovers import until

from nsview.host.process import PinnedProcess, ProcessGoneError
from nsview.host.sampling import sample
from nsview.host.snapshot import take
from nsview.host.usage import CUMULATIVE, DELAYS, MEASURES, Usage, rates


def own_start() -> int:
    return take((os.getpid(),)).records[os.getpid()].start_time


def test_cpu_time_lies_between_two_looks_of_the_process_itself():
    before = time.process_time_ns()
    usage = sample(os.getpid())
    after = time.process_time_ns()
    assert usage is not None
    assert before <= usage.cpu_ns <= after


def test_cpu_time_of_another_process_needs_no_privilege(forked):
    def burn() -> int:
        while time.process_time() < 0.05:
            pass
        return time.process_time_ns()

    pid, burnt = forked(burn)
    usage = sample(pid)
    assert usage is not None
    assert usage.cpu_ns >= burnt


def test_memory_taken_shows_in_rss_pss_and_uss(forked):
    def take_memory() -> int:
        memory = bytearray(64 << 20)
        take_memory.kept = memory  # type: ignore[attr-defined]
        return len(memory)

    small, _ = forked()
    large, size = forked(take_memory)
    one, two = sample(small), sample(large)
    for field in ("rss", "pss", "uss"):
        assert getattr(two, field) - getattr(one, field) > size * 0.95, field
    assert two.minflt > one.minflt


def test_written_bytes_descriptors_and_threads_are_counted(forked, tmp_path):
    def work() -> int:
        kept = [os.open(tmp_path / str(number), os.O_CREAT | os.O_WRONLY) for number in range(5)]
        os.write(kept[0], b"x" * 100_000)
        return len(os.listdir("/proc/self/fd")) - 1

    pid, descriptors = forked(work)
    usage = sample(pid)
    assert usage is not None
    assert usage.fds in (descriptors, descriptors - 1), "the pipe to the test is closed after it told"
    assert usage.write_chars >= 100_000
    assert usage.threads == 1


def test_process_that_is_gone_or_another_has_no_usage(forked):
    assert sample(os.getpid(), own_start() + 1) is None
    assert sample(4194305) is None
    assert sample(os.getpid(), own_start()) is not None


def test_pinned_process_answers_nothing_once_reaped():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    with PinnedProcess(pid) as process:
        os.waitpid(pid, 0)
        assert not process.is_there()
        assert process.read("stat") is None
        assert process.link("ns/net") is None
        assert process.names("fd") is None
        assert process.stat("root") is None
        assert process.status() is None
    with pytest.raises(ProcessGoneError):
        PinnedProcess(pid)


@pytest.mark.needs("root")
def test_what_others_hide_is_unknown_and_the_rest_is_known(as_nobody, forked):
    pid, _ = forked()
    usage = as_nobody(lambda: sample(pid))
    assert (usage.rss, usage.read_bytes, usage.fds) == (None, None, None)
    assert usage.cpu_ns > 0
    assert usage.minflt > 0


def test_every_measure_is_a_field_of_usage():
    fields = set(Usage.__dataclass_fields__)
    assert {measure.field for measure in MEASURES + DELAYS} == fields - {"pid", "start_time", "when_ns"}
    assert fields > CUMULATIVE


def test_rates_are_what_came_between_two_samples_per_second():
    earlier = Usage(5, 77, 1_000_000_000, cpu_ns=100, rss=4096, read_bytes=10)
    later = Usage(5, 77, 3_000_000_000, cpu_ns=1_000_000_100, rss=1024, read_bytes=30)
    found = {rate.measure.field: (rate.change, rate.per_second) for rate in rates(earlier, later)}
    assert found["cpu_ns"] == (1_000_000_000, 500_000_000.0)
    assert found["read_bytes"] == (20, 10.0)
    assert found["rss"] == (-3072, None), "what can shrink has a change, and no rate"
    assert found["write_bytes"] == (None, None), "unknown, not zero"
    assert len(found) == len(MEASURES + DELAYS)


def test_a_counter_that_went_back_has_an_unknown_rate():
    earlier, later = Usage(5, 77, 1, voluntary=100), Usage(5, 77, 2, voluntary=60)
    found = next(rate for rate in rates(earlier, later) if rate.measure.field == "voluntary")
    assert (found.change, found.per_second) == (None, None)


@pytest.mark.parametrize("other", [Usage(5, 78, 9), Usage(6, 77, 9), Usage(5, 77, 1), Usage(5, 77, 0)])
def test_rates_between_two_processes_or_backwards_are_refused(other):
    with pytest.raises(ValueError, match="sample"):
        rates(Usage(5, 77, 1), other)


def test_rates_of_a_real_process_are_its_own(forked):
    reading, writing = os.pipe()
    told, telling = os.pipe()

    def work_when_told() -> None:
        if os.fork():
            return
        os.read(reading, 1)
        end = time.process_time() + 0.1
        while time.process_time() < end:
            pass
        os.write(telling, os.getpid().to_bytes(4, "little"))
        os.read(reading, 1)
        os._exit(0)

    pid, _ = forked(work_when_told)
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        worker = int(file.read())
    earlier = sample(worker)
    os.write(writing, b"x")
    assert int.from_bytes(os.read(told, 4), "little") == worker
    found = {rate.measure.field: rate for rate in rates(earlier, sample(worker))}
    os.write(writing, b"x")
    for fd in (reading, writing, told, telling):
        os.close(fd)
    assert found["cpu_ns"].change >= 100_000_000
    assert found["cpu_ns"].per_second <= 1e9


@pytest.mark.parametrize("comm", [b"x\rvoluntary_ct", b"\x0bVmRSS:\t9 kB", b") R 1 1"])
def test_a_name_that_imitates_the_kernels_lines_deceives_nobody(forked, comm):
    """Without taskstats switches are read of each thread's status, whose first line is the name."""
    pid, _ = forked(lambda: rename(comm))

    def switches() -> int:
        with open(f"/proc/{pid}/status", newline="\n") as file:
            status = dict(line.split(":\t", 1) for line in file if ":\t" in line)
        return int(status["voluntary_ctxt_switches"])

    def undisturbed() -> tuple[Usage, int] | None:
        """What is sampled while nothing changes: the child may be on its way to sleep."""
        before, usage = switches(), sample(pid)
        return (usage, before) if switches() == before else None

    found = until(undisturbed)
    assert found
    usage, told = found
    assert usage.voluntary == told
    assert usage.threads == 1
