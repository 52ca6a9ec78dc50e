"""Events as values: their JSON, and what the bytes of the kernel's messages mean."""

from __future__ import annotations

import json
import struct

import pytest

from nsview.host.events.event import Event
from nsview.host.events.exit_accounts import Account, Accounts
from nsview.host.events.proc_events import LISTEN, message, request
from nsview.host.taskstats_record import FIELDS, reader

EXIT = Event(5, "exit", 7, 8, 1, 1, exit_code=256, exit_signal=-1, last=False, comm="a\udcff\n", cpu_ns=0)


def test_an_event_is_the_same_after_json():
    assert Event.from_object(json.loads(json.dumps(EXIT.to_object()))) == EXIT


def test_json_has_what_is_known_alone():
    assert Event(5, "exec", 7, 7).to_object() == {"when_ns": 5, "what": "exec", "pid": 7, "tid": 7}


def test_fields_of_later_versions_are_ignored():
    assert Event.from_object({**EXIT.to_object(), "new": [1]}) == EXIT


@pytest.mark.parametrize(
    ("change", "says"),
    [({"pid": None}, "pid is None"), ({"pid": "7"}, "pid is '7'"), ({"last": 1}, "last is 1"), ({"tid": True}, "True")],
)
def test_what_is_no_event_is_refused(change, says):
    with pytest.raises(ValueError, match=says):
        Event.from_object({**EXIT.to_object(), **change})


def test_an_event_without_a_time_is_refused():
    with pytest.raises(ValueError, match="without when_ns"):
        Event.from_object({"what": "exec", "pid": 7, "tid": 7})


def datagram(bit: int, *fields: int, cpu: int = 1, number: int = 9, ack: int = 0) -> bytes:
    body = struct.pack("=IIQ", bit, cpu, 1000) + struct.pack(f"={len(fields)}I", *fields).ljust(24, b"\0")
    return struct.pack("=IHHII", 76, 3, 0, 0, 0) + struct.pack("=IIIIHH", 1, 1, number, ack, 40, 0) + body


def event_of(*words: int) -> Event:
    told = message(datagram(*words))
    assert told is not None
    assert (told.cpu, told.number) == (1, 9)
    assert told.event is not None
    return told.event


def test_fields_stand_where_the_kernel_puts_them():
    assert event_of(0x1, 10, 11, 20, 21) == Event(1000, "fork", 21, 20, 11, 10)
    assert event_of(0x2, 20, 21) == Event(1000, "exec", 21, 20)
    assert event_of(0x4, 20, 21, 1, 2) == Event(1000, "uid", 21, 20, ruid=1, euid=2)
    assert event_of(0x40, 20, 21, 1, 2) == Event(1000, "gid", 21, 20, rgid=1, egid=2)
    assert event_of(0x80, 20, 21) == Event(1000, "sid", 21, 20)
    assert event_of(0x100, 20, 21, 30, 31) == Event(1000, "ptrace", 21, 20, tracer=31)
    assert event_of(0x200, 20, 21, 0x0A6261) == Event(1000, "comm", 21, 20, comm="ab\n")
    assert event_of(0x40000000, 20, 21, 10, 11) == Event(1000, "coredump", 21, 20, 11, 10)
    whole = Event(1000, "exit", 21, 20, 11, 10, exit_code=256, exit_signal=17)
    assert event_of(0x80000000, 20, 21, 256, 17, 10, 11) == whole


def test_an_exit_already_reaped_has_no_parent_any_more():
    assert event_of(0x80000000, 20, 21, 0, 17, 0, 0).parent is None


def test_an_answer_is_no_event():
    told = message(datagram(0, 1, ack=6))
    assert told is not None
    assert (told.event, told.ack, told.error) == (None, 6, 1)


@pytest.mark.parametrize("length", [0, 16, 36, 75])
def test_what_is_too_short_is_no_message(length):
    assert message(datagram(0x2, 20, 21)[:length]) is None


def test_events_of_later_kernels_are_counted_but_not_told():
    told = message(datagram(0x400, 20, 21))
    assert told is not None
    assert told.event is None


def test_a_request_is_longer_only_when_something_is_chosen():
    assert len(request(LISTEN, 1)) == 40
    assert request(LISTEN, 1, ["exit", "fork"])[40:] == struct.pack("=I", 0x80000001)


def account(tid: int, cpu: int, code: int = 0) -> Account:
    return Account(tid, "a", code, True, cpu, cpu, 0, 0)


def test_accounts_of_one_number_are_given_in_their_order():
    accounts = Accounts()
    accounts.add(account(8, 1))
    accounts.add(account(8, 2))
    ends = [accounts.complete(Event(5, "exit", 8, 8, exit_code=0)).cpu_ns for _ in range(3)]
    assert ends == [1, 2, None]
    assert len(accounts) == 0


def test_an_account_with_another_status_is_of_another():
    accounts = Accounts()
    accounts.add(account(8, 1, code=256))
    assert accounts.complete(Event(5, "exit", 8, 8, exit_code=9)).cpu_ns is None


def taskstats(version: int, size: int = 560) -> bytes:
    return struct.pack("=H2xI", version, 256).ljust(size, b"\0")


def test_a_field_of_a_later_version_is_not_read_from_an_earlier_one():
    read = reader("ac_exitcode", "ac_tgid")
    assert read(taskstats(12)) == (256, 0)
    assert read(taskstats(11)) is None
    assert read(taskstats(12, FIELDS["ac_tgid"].offset)) is None


def test_version_15_which_moved_fields_is_not_read():
    assert [reader("ac_exitcode")(taskstats(version)) for version in (14, 15, 16)] == [(256,), None, (256,)]
