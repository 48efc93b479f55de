# SPDX-License-Identifier: Apache-2.0
"""What a test that reads this repository's files found wrong: collected, then printed with a number and an exit status."""
import os

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
wrong = []


def check(good, what):
    if not good:
        wrong.append(what)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def status_of(subject):
    """Says all that is wrong. The test's exit status."""
    for text in wrong:
        print(text)
    print(f"{subject}: {len(wrong)} things are wrong")
    return 1 if wrong else 0
