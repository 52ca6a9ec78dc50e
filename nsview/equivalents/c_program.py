"""A C program that makes the child by the same call and takes each step of the plan as a raw system call.

It compiles with gcc -Wall -Werror and needs nothing but a C library. The engine's speed is not copied (the child gets
a copy of the memory, as with fork, since there is hardly any), nor its comparing of what it reads back.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from nsview.equivalents import c_text, shell
from nsview.equivalents.account import Account
from nsview.equivalents.c_data import Data, comment, slot, string
from nsview.equivalents.equivalent import Caller, Equivalent, equivalent
from spawner import Mechanism, Plan, Spec, Stdio, Step, compile_spec
from spawner.flags import BY_NAME, format_mask
from spawner.namespaces import ALL_FLAGS
from spawner.parts.keeping import Keeping
from spawner.parts.map_writing import Writing
from spawner.plan import Action, Bearing, Result

_ENGINES_OWN = ("CLONE_VM", "CLONE_VFORK", "CLONE_PIDFD", "CLONE_CLEAR_SIGHAND", "CLONE_INTO_CGROUP")
"""Flags that the engine adds for speed and for watching; here only where the Spec asks for them itself."""


def write(spec: Spec, caller: Caller) -> Equivalent:
    """Put a Spec's plan into C. Raises SpecError where it has none."""
    account = Account(spec, "the C program")
    sayable = _sayable(spec, account)
    plan = compile_spec(sayable)
    program = _Program(sayable, plan, caller, account)
    text = program.text()
    account.said(*(path for path in _SAID if path != "env" or spec.env is not None))
    return equivalent(text, account)


_SAID = tuple(
    name for name in Spec.__dataclass_fields__ if name not in ("args",)
)  # what _sayable() has not taken away is in the plan


def _sayable(spec: Spec, account: Account) -> Spec:
    """The Spec without what is not in its plan's steps, or only by the engine's own means."""
    if spec.stdio in (Stdio.PTY, Stdio.PIPE):
        account.cannot("stdio", "the program has the streams of whoever runs this")
        account.said("window")
        spec = replace(spec, stdio=Stdio.INHERIT)
    if spec.cgroup is not None:
        account.cannot("cgroup", "a group is made as this machine has them mounted; use systemd-run --scope around it")
        spec = replace(spec, cgroup=None)
    if spec.veth is not None:
        account.cannot("veth", "that takes rtnetlink; `ip link add … type veth peer … netns PID` does it")
        spec = replace(spec, veth=None)
    lost = 0
    for name in ("CLONE_SETTLS", "CLONE_INTO_CGROUP"):
        if spec.clone_flags & BY_NAME[name].bit:
            account.cannot(f"clone_flags[{name}]", "it takes a value that only the engine has")
            lost |= BY_NAME[name].bit
    if any(join.identity is not None for join in spec.join):
        account.note("Whether /proc/PID is still the process that was meant is not looked at before it is entered.")
    return replace(spec, clone_flags=spec.clone_flags & ~lost)


@dataclass(slots=True)
class _Program:
    """The text, part by part."""

    spec: Spec
    plan: Plan
    caller: Caller
    account: Account

    def text(self) -> str:
        if self.plan.mechanism is Mechanism.POSIX_SPAWN:
            return self._by_posix_spawn()
        steps = self._steps()
        data: list[str] = []
        body: list[str] = []
        phase = ""
        for index, step in steps:
            if actions := self._actions_before(index):
                texts = "; ".join(comment(action.text) for action in actions)
                body.append(f"    wait_for_parent(); /* {texts} */")
            if step.phase != phase:
                phase = step.phase
                body.append(f"\n    /* ---- {phase} ---- */")
            body += self._step(index, step, data)
        count = len(self.plan.steps)
        head = c_text.HEAD.format(why=comment(f"{self.plan.mechanism}: {self.plan.why}"), count=max(count, 1))
        parts = [head, *self._variables()]
        if self._acts():
            parts.append(c_text.SYNC)
        if self.plan.init:
            parts.append(c_text.REAPER)
        parts += data
        parts.append(c_text.CHILD.format(body="\n".join(body)))
        parts.append(self._main())
        return "\n".join(parts)

    def _steps(self) -> list[tuple[int, Step]]:
        """The steps that do something: not those that only read back, nor those of the engine's reaper."""
        found: list[tuple[int, Step]] = []
        in_reaper = False
        for index, step in enumerate(self.plan.steps):
            if not in_reaper and step.phase != "read back":
                found.append((index, step))
            in_reaper = in_reaper or bool(step.bearing & Bearing.INIT)
            if step.bearing & Bearing.LAST:
                in_reaper = False
        return found

    def _step(self, index: int, step: Step, data: list[str]) -> list[str]:
        lines = [f"    /* {index}: {comment(step.label)}{comment(f': {step.why}') if step.why else ''} */"]
        if step.bearing & Bearing.INIT:
            return [*lines, c_text.DIVIDE.format(index=index)]
        made = Data(f"step{index}")
        arguments = [
            "environ" if step.syscall == "execve" and at == 2 else made.argument(argument)
            for at, argument in enumerate(step.args)
        ]
        data += made.declared
        call = ", ".join([f"SYS_{step.syscall}", *arguments])
        taken = [*made.assigned, f"result[{index}] = checked(syscall({call}));", *self._judged(index, step)]
        if step.bearing & Bearing.FORKS:
            taken += [f"if (result[{index}] > 0)", f"    leave_to(result[{index}]);"]
        guard = _guard(step.only_if, step.unless)
        if guard is None:
            return lines + [f"    {line}" for line in taken]
        return [*lines, f"    if ({guard}) {{", *(f"        {line}" for line in taken), "    }"]

    def _judged(self, index: int, step: Step) -> list[str]:
        if step.bearing & Bearing.TOLERATE_ALL:
            return []
        label = string(os.fsencode(f"{step.label}{f' {step.path}' if step.path else ''}"))
        check = f"must({index}, {label}, {int(bool(step.bearing & Bearing.EXPECT_ZERO))});"
        if step.tolerated:
            named = " && ".join(f"result[{index}] != -{number}" for number in step.tolerated)
            return [f"if ({named})", f"    {check}"]
        return [check]

    # ---- the parent ----

    def _actions_before(self, index: int) -> list[Action]:
        return [action for action in self.plan.actions if action.before == index]

    def _acts(self) -> bool:
        return bool(self.plan.actions)

    def _variables(self) -> list[str]:
        """What the steps know by a name: descriptors of the parent's, and its signal mask."""
        lines = ["static uint64_t the_sigmask; /* the caller's */", "static int the_parent_pidfd = -1;"]
        for name in ("stdin", "stdout", "stderr"):
            if self.spec.stdio is Stdio.NULL:
                lines.append(f"static int {slot(name)} = -1;")
        lines += [f"static int {slot(_joined(each.type))} = -1;" for each in self.spec.join]
        if self.plan.second_fork is not None:
            lines.append(c_text.LEAVE)
        return [*lines, ""]

    def _main(self) -> str:
        before: list[str] = []
        for name, value in self._environment():
            if value is None:
                before.append(f"unsetenv({string(os.fsencode(name))});")
            else:
                before.append(f"setenv({string(os.fsencode(name))}, {string(os.fsencode(value))}, 1);")
        if self.spec.stdio is Stdio.NULL:
            before += [f'{slot(name)} = opened("/dev/null", O_RDWR);' for name in ("stdin", "stdout", "stderr")]
        for each in self.spec.join:
            before.append(f"{slot(_joined(each.type))} = opened({string(os.fsencode(each.path))}, O_RDONLY);")
        if self._acts():
            before.append("open_sync();")
        if self.plan.second_fork is not None:
            before.append('if (pipe2(second, O_CLOEXEC) != 0)\n        stop("pipe2");')
        meanwhile = [line for index, _ in self._steps() for line in self._acted(index)]
        after = "pid_of_second(child)" if self.plan.second_fork is not None else "child"
        birth = self._birth()
        return c_text.MAIN.format(
            before="".join(f"    {line}\n" for line in before),
            birth=birth,
            sync="    close(the_sync[1]);\n" if self._acts() else "",
            second=f"    child = {after};\n" if self.plan.second_fork is not None else "",
            meanwhile="".join(f"    {line}\n" for line in meanwhile),
        )

    def _environment(self) -> list[tuple[str, str | None]]:
        if self.spec.env is None:
            return []
        gone, changed, empty = shell.environment_changes(self.spec.env, self.caller.environment)
        if empty:
            gone = [name for name in self.caller.environment if name not in dict(self.spec.env)]
            self.account.note("Variables that are in the environment only where you run it are left there.")
        return [*((name, None) for name in gone), *changed]

    def _acted(self, index: int) -> list[str]:
        actions = self._actions_before(index)
        if not actions:
            return []
        lines = ["if (child_waits()) {"]
        for action in actions:
            match action.does:
                case Writing(file=file, text=text, helper=None):
                    lines.append(f"    write_of(child, {string(file.encode())}, {string(text.encode())});")
                case Writing(text=text, helper=str(helper)):
                    words = " ".join(text.split())
                    lines.append(f"    run_helper({string(helper.encode())}, child, {string(words.encode())});")
                    self.account.note(f"{helper}(1) maps what /etc/subuid and /etc/subgid give whoever runs this.")
                case Keeping() as keeping:
                    path = string(os.fsencode(keeping.path))
                    lines.append(f"    keep(child, {string(keeping.link.encode())}, {path});")
                case _:
                    raise ValueError(f"no C for {action.label}")
        return [*lines, "    go_on();", "}"]

    def _birth(self) -> str:
        plan = self.plan
        if plan.mechanism in (Mechanism.FORK, Mechanism.FORK_UNSHARE):
            return "    pid_t child = fork();\n    if (child == 0)\n        in_child(NULL);"
        if plan.mechanism is Mechanism.VFORK:
            return "    pid_t child = vfork();\n    if (child == 0)\n        in_child(NULL);"
        own = sum(BY_NAME[name].bit for name in _ENGINES_OWN)
        mask = plan.clone_flags & ~(own & ~self.spec.clone_flags) | (self._spaces() & plan.clone_flags)
        shown = comment(format_mask(mask)) if mask else "none"
        values = {"mask": f"{mask:#x}ULL", "shown": shown, "signal": plan.exit_signal}
        if mask & BY_NAME["CLONE_VM"].bit:
            if mask & BY_NAME["CLONE_CLEAR_SIGHAND"].bit:
                self.account.note(
                    "CLONE_CLEAR_SIGHAND is left out: this program handles no signal that it would reset."
                )
                mask &= ~BY_NAME["CLONE_CLEAR_SIGHAND"].bit
                values |= {"mask": f"{mask:#x}", "shown": comment(format_mask(mask))}
            return c_text.BY_CLONE_ON_STACK.format(**values)
        if plan.mechanism is Mechanism.CLONE:
            return c_text.BY_CLONE.format(**values)
        return c_text.BY_CLONE3.format(**values)

    def _spaces(self) -> int:
        return ALL_FLAGS

    def _by_posix_spawn(self) -> str:
        argv = Data("program")
        arguments = "".join(f"        (char *){string(word)},\n" for word in self.plan.argv)
        del argv
        flags = "POSIX_SPAWN_SETSIGDEF" + ("|POSIX_SPAWN_SETSID" if self.plan.new_session else "")
        null = "".join(
            f'    posix_spawn_file_actions_addopen(&actions, {number}, "/dev/null", O_RDWR, 0);\n'
            for number in (range(3) if self.spec.stdio is Stdio.NULL else ())
        )
        environment = "".join(
            f"    unsetenv({string(os.fsencode(name))});\n"
            if value is None
            else f"    setenv({string(os.fsencode(name))}, {string(os.fsencode(value))}, 1);\n"
            for name, value in self._environment()
        )
        return c_text.POSIX_SPAWN.format(
            argv=arguments,
            program=string(os.fsencode(self.spec.args[0])),
            flags=flags.replace("|", " | "),
            null=null,
            environment=environment,
        )


def _joined(kind: str) -> str:
    return f"{kind} namespace"


def _guard(only_if: Result | None, unless: Result | None) -> str | None:
    if only_if is not None:
        return f"result[{only_if.step}] >= 0"
    return f"result[{unless.step}] < 0" if unless is not None else None
