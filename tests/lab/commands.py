# SPDX-License-Identifier: Apache-2.0
"""Running programs: short ones to their end, servers by pid with a log, and waiting without long sleeps."""
import os
import signal
import subprocess
import time

POLL_S = 0.02


class CommandFailed(Exception):
    """A program that had to succeed did not; the text holds what it said."""


class Result:
    """What a finished program left: status (None: it had to be stopped), out, err, seconds."""

    def __init__(self, status, out, err, seconds):
        self.status, self.out, self.err, self.seconds = status, out, err, seconds

    def __repr__(self):
        return f"status {self.status}, out {self.out[-500:]!r}, err {self.err[-500:]!r}"


def run(argv, *, check=True, timeout=30, stdin=None, env=None):
    """Runs a program to its end. With check, anything but status 0 raises CommandFailed."""
    began = time.monotonic()
    program = subprocess.Popen(argv, stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", env=env,
                               start_new_session=True)
    try:
        out, err = program.communicate(stdin, timeout=timeout)
        status = program.returncode
    except subprocess.TimeoutExpired:
        program.kill()
        out, err = program.communicate()
        status = None
    except BaseException:
        program.kill()
        program.wait()
        raise
    result = Result(status, out, err, time.monotonic() - began)
    if check and status != 0:
        raise CommandFailed(f"{' '.join(argv)}: {result}")
    return result


def wait_until(condition, what, timeout=5.0):
    """Polls until condition() is true and returns its value; TimeoutError, saying what was awaited, else."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout:g} s for {what}")
        time.sleep(POLL_S)


class Daemon:
    """A program that runs until stop(). Its output goes to a log file; it ends when this process ends, however."""

    def __init__(self, name, argv, log_dir, env=None):
        self.name = name
        self.log_path = os.path.join(log_dir, name + ".log")
        with open(self.log_path, "ab") as log:
            # setpriv execs: the pid is the program's own, and the kernel kills it if we are killed.
            self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *argv], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env=env, start_new_session=True)

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process.poll() is None

    def require_alive(self):
        if not self.alive():
            raise CommandFailed(f"{self.name} ended with status {self.process.returncode}:\n{self.log_tail()}")

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def log_tail(self, lines=25):
        return "\n".join(self.log().splitlines()[-lines:])

    def kill(self):
        """SIGKILL, as a crash would be."""
        self.process.kill()
        self.process.wait()

    def stop(self, timeout=5.0):
        """SIGTERM, then SIGKILL. Returns the exit status."""
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.process.returncode
