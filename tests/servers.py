"""A server in a process of its own, for tests of what speaks to it."""

import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager

import uvicorn

from mangrove.serve.access import SYSTEM, Accounts


@contextmanager
def listening(app):
    """An application on a port of its own, served by a thread of this process; gives its address."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


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
