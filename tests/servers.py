"""A server in a process of its own, for tests of what speaks to it."""

import os
import re
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

from mangrove.serve.access import SYSTEM, Accounts


@contextmanager
def running(folder, *options, env=None):
    """A server in a process of its own; gives its address, its process and what it said so far."""
    command = [sys.executable, "-m", "mangrove", "serve", str(folder), "--port", "0", "--no-work", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **(env or {})})
    said = []
    try:
        for line in process.stderr:
            said.append(line.strip())
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            if found:
                break
        else:
            raise AssertionError("".join(said))
        _up(found.group())
        yield found.group(), process, said
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(20)
        said.extend(process.stderr.read().splitlines())
        process.stderr.close()


def _up(url):
    for _ in range(100):
        try:
            urllib.request.urlopen(f"{url}/healthz", timeout=5).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the server did not come up")


def key(folder, role="operator"):
    """A new key of a territory."""
    with Accounts(folder) as accounts:
        return accounts.keys.add("test", role, by=SYSTEM)[1]
