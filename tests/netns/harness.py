# SPDX-License-Identifier: Apache-2.0
"""Runs the cases of one netns test file in one lab: a line for each, logs when one fails.

Exit status: 0 all passed, 1 one failed, 77 not run because this is not root (1 when CI is set).
"""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from lab import Lab, wait_until  # noqa: E402,F401
from lab.cases import run_cases  # noqa: E402

CASES = []


def case(title):
    """Marks a function (lab, gate) as a case. Cases run in the order of the file, in one lab."""
    def mark(function):
        CASES.append((title, function))
        return function
    return mark


def equal(got, want, what):
    if got != want:
        raise AssertionError(f"{what}: wanted {want!r}, got {got!r}")


def true(value, what):
    if not value:
        raise AssertionError(what)


def main(prepare, **lab_options):
    """prepare(lab) -> gate: runs once before the cases; whatever it raises fails the file."""
    if os.geteuid() != 0:
        print("needs root to make network namespaces: not run")
        return 1 if os.environ.get("CI") else 77
    only = sys.argv[1:]
    cases = [(title, function) for title, function in CASES if not only or any(word in function.__name__ for word in only)]
    began = time.monotonic()
    with Lab(**lab_options) as lab:
        failed = run_cases(cases, lab.show_logs, lab, prepare(lab))
    print(f"{len(cases) - failed} of {len(cases)} cases passed in {time.monotonic() - began:.1f} s")
    return 1 if failed or not cases else 0
