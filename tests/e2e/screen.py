# SPDX-License-Identifier: Apache-2.0
"""What a scenario prints: numbered parts, commands with their output, and checks that count."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "scripts"))
from demo import Screen  # noqa: E402  the demo's colours and verdicts


class Story(Screen):
    """Tells what happens and counts what is not as expected."""

    def __init__(self):
        super().__init__()
        self.began = time.monotonic()
        self.parts, self.checks, self.failed = 0, 0, []

    def part(self, title):
        self.parts += 1
        self.say(self.bold(f"\n{self.parts}. {title}") + self.grey(f"  [{time.monotonic() - self.began:.0f} s]"))

    def note(self, text):
        self.say("  " + text)

    def show(self, command, output, lines=40):
        """A command as it was run, with what it printed."""
        self.say(f"  $ {command}")
        for line in output.rstrip().splitlines()[:lines]:
            self.say("    " + line)

    def check(self, what, ok, seen=""):
        """One expected outcome. Returns ok."""
        self.checks += 1
        if not ok:
            self.failed.append(what)
        detail = f": {seen}" if seen else ""
        self.say(f"  {self.paint('ok', '32') if ok else self.wrong('WRONG')}  {what}{self.grey(detail) if ok else detail}")
        return ok

    def five_steps(self, pod, expected):
        """Runs the agent's five steps in a pod, prints each as it ends, and checks the outcomes."""
        outcomes = []
        for number, step in enumerate(pod.steps()):
            outcome = "PASS" if step["ok"] else "BLOCKED"
            outcomes.append(outcome)
            note = "" if number < len(expected) and outcome == expected[number] else self.wrong("  <- not expected")
            self.say(f"  {number + 1}. {step['step']:<50} {self.verdict(outcome)} {step['seconds']:5.2f} s{note}")
            self.say(self.grey(f"       {step['seen']}"))
        return self.check(f"the five steps in pod {pod.name}: {' '.join(expected)}", outcomes == expected,
                          "" if outcomes == expected else "saw " + (" ".join(outcomes) or "nothing"))

    def end(self):
        """Prints the sum; returns the exit status."""
        seconds = time.monotonic() - self.began
        for what in self.failed:
            self.say(self.wrong(f"not as expected: {what}"))
        self.say(self.bold(f"\n{self.checks - len(self.failed)} of {self.checks} checks are as expected ({seconds:.0f} s)."))
        return 1 if self.failed or not self.checks else 0
