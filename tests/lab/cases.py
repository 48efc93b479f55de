# SPDX-License-Identifier: Apache-2.0
"""Runs the cases of a test one after the other: a line for each, logs when one fails."""
import time
import traceback


def run_cases(cases, show_logs, *scene):
    """cases: [(title, function of the scene; what it returns is a note)]. show_logs: called after a failure. Returns how many failed."""
    failed = 0
    for title, function in cases:
        started = time.monotonic()
        try:
            note = function(*scene)
            print(f"ok    {title} ({time.monotonic() - started:.2f} s){'  ' + note if note else ''}", flush=True)
        except Exception as error:  # the other cases run all the same
            failed += 1
            print(f"FAIL  {title}: {error}", flush=True)
            if not isinstance(error, AssertionError):
                traceback.print_exc()
            show_logs()
    return failed
