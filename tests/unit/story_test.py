#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One outcome of the cluster scenario that is not as expected fails the whole run, and so does a run without any."""
import contextlib
import io
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from e2e.screen import Story  # noqa: E402


def status_of(*outcomes):
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        story = Story()
        for number, ok in enumerate(outcomes):
            story.check(f"check {number}", ok)
        return story.end(), printed.getvalue()


def main():
    wrong = []
    for outcomes, status, said in (((), 1, "0 of 0"), ((True, True), 0, "2 of 2"), ((True, False, True), 1, "not as expected: check 1"),
                                   ((False,), 1, "0 of 1")):
        got, text = status_of(*outcomes)
        if got != status or said not in text:
            wrong.append(f"{outcomes}: status {got}, {text!r}")
    for text in wrong:
        print(text)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
