"""Starts gateways, runs checks, counts."""

import ctypes
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.error
import urllib.parse
import urllib.request

from botocore.exceptions import ClientError

GATEWAY = os.environ.get("E2E_GATEWAY")
CACHE = os.path.join(os.path.dirname(os.path.abspath(__file__)), ".cache")

# Nothing of the machine's own AWS settings may reach a client under test.
for name in [name for name in os.environ if name.startswith(("AWS_", "GATEWAY_", "RUST_LOG"))]:
    del os.environ[name]
os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
# What is laid down for a while lies here too, so that a driver that is killed leaves nothing elsewhere.
tempfile.tempdir = os.environ["TMPDIR"] = os.path.join(CACHE, "tmp")
os.makedirs(tempfile.tempdir, exist_ok=True)
# One that is asked to end cleans up like one that is interrupted.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
os.environ["no_proxy"] = os.environ["NO_PROXY"] = "127.0.0.1,localhost"


def program(name):
    """One of the other example programs: it is where the gateway is."""
    return os.path.join(os.path.dirname(GATEWAY), name)


def tool(name, *arguments):
    """Runs one of them and returns what it printed."""
    done = subprocess.run([program(name), *arguments], capture_output=True, text=True, timeout=120, check=False,
                          stdin=subprocess.DEVNULL)
    if done.returncode:
        raise AssertionError(f"{name} {' '.join(arguments)}: {done.returncode} {done.stdout} {done.stderr}")
    return done.stdout


LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def end_with_parent():
    """In a new process: a driver that is killed leaves it not behind. The thread that started it counts as parent."""
    if LIBC:
        LIBC.prctl(1, signal.SIGKILL)


class Gateway:
    """A gateway on a free port. `block` is what it tells another terminal: `exports` is what that sets, `offered` what
    it has as comments, for who wants a long-lived key in place of a web identity. With `tls` it serves TLS, and
    `certificate` is the root that its clients have to trust."""

    def __init__(self, *arguments, port=0, env=None, tls=False):
        self.folder = tempfile.mkdtemp(prefix="credfed-e2e-")
        self.certificate = self.private_key = None
        if tls:
            self.certificate, cert, self.private_key = certificates(self.folder)
            arguments = (*arguments, "--tls-cert", cert, "--tls-key", self.private_key)
        self.log_path = os.path.join(self.folder, "log")
        self._log = open(self.log_path, "wb")
        self.process = subprocess.Popen(
            [GATEWAY, "--listen", f"127.0.0.1:{port}", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**os.environ, "TMPDIR": self.folder, **(env or {})},
            preexec_fn=end_with_parent,
        )
        self.block, self.exports, self.offered = "", {}, {}
        try:
            self._read_the_block()
        except BaseException:
            self.stop()
            raise

    def _read_the_block(self):
        lines = queue.Queue()

        def read():
            for line in self.process.stdout:
                lines.put(line)
            lines.put("")

        threading.Thread(target=read, daemon=True).start()
        while "AWS_DEFAULT_REGION" not in self.exports:
            line = lines.get(timeout=60)
            if not line:
                raise RuntimeError(f"the gateway ended ({self.process.wait()}): {self.log()}")
            self.block += line
            for start, found in (("export ", self.exports), ("# export ", self.offered)):
                if line.startswith(start):
                    name, value = line.removeprefix(start).rstrip("\n").split("=", 1)
                    found[name] = value

    @property
    def url(self):
        return self.exports["AWS_ENDPOINT_URL"]

    @property
    def key(self):
        found = {**self.offered, **self.exports}
        return found["AWS_ACCESS_KEY_ID"], found["AWS_SECRET_ACCESS_KEY"]

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def peak_mib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            line = next(line for line in status if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def stop(self):
        """Ends it, removes its folder, and returns its exit code."""
        if self.process.poll() is None:
            self.interrupt()
        try:
            code = self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def certificates(folder):
    """A root, and of it a certificate for the loopback address with its key: (root, certificate, key)."""
    root, root_key = os.path.join(folder, "root.pem"), os.path.join(folder, "root-key.pem")
    cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")

    def openssl(*arguments):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-days", "2", *arguments], check=True, capture_output=True, timeout=120)

    openssl("-subj", "/CN=root", "-addext", "keyUsage=critical,keyCertSign", "-keyout", root_key, "-out", root)
    openssl("-subj", "/CN=gateway", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-addext",
            "basicConstraints=critical,CA:FALSE", "-CA", root, "-CAkey", root_key, "-keyout", key, "-out", cert)
    return root, cert, key


class Checks:
    """Runs each check by itself: one that fails does not hide the next."""

    def __init__(self):
        self.passed = self.failed = 0

    def run(self, name, check, *arguments):
        began = time.monotonic()
        try:
            note = check(*arguments)
        except Exception:  # pylint: disable=broad-except
            self.failed += 1
            print(f"FAILED  {name}")
            print("        " + traceback.format_exc().strip().replace("\n", "\n        "))
        else:
            self.passed += 1
            took = time.monotonic() - began
            print(f"ok      {name}" + (f": {note}" if note else "") + (f" ({took:.1f} s)" if took > 1 else ""))
        sys.stdout.flush()

    def finish(self):
        print(f"{self.passed} passed, {self.failed} failed")
        sys.exit(1 if self.failed else 0)


def refused(code, call, *arguments, **named):
    """The call fails with this code of AWS's."""
    try:
        call(*arguments, **named)
    except ClientError as error:
        equal(error.response["Error"]["Code"], code)
        return None
    raise AssertionError(f"not refused, wanted {code}")


def http(method, url, body=None, headers=None, timeout=60, context=None):
    """A plain HTTP request, whose certificates `context` checks if there are any: (status, body)."""
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=timeout, context=context) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def free_port():
    """A loopback port that nothing listens on now, for programs that cannot choose one and say which."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def equal(found, wanted):
    if found != wanted:
        raise AssertionError(f"found {found!r:.500}, wanted {wanted!r:.500}")
