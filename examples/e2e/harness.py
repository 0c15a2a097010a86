"""Starts gateways, runs checks, counts."""

import asyncio
import ctypes
import os
import queue
import shutil
import signal
import socket
import ssl
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
    it has as comments, for who wants a long-lived key in place of a web identity."""

    def __init__(self, *arguments, port=0, env=None):
        self.folder = tempfile.mkdtemp(prefix="credfed-e2e-")
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


class TlsFront:
    """Ends TLS in front of a gateway and passes every byte on, `Host` as it came: SDKs send other payload modes over
    TLS than over plain HTTP."""

    def __init__(self, gateway):
        self.folder = tempfile.mkdtemp(prefix="credfed-e2e-")
        self.certificate = os.path.join(self.folder, "certificate.pem")
        key = os.path.join(self.folder, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=front",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", self.certificate],
                       check=True, capture_output=True, timeout=120)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self._behind = urllib.parse.urlsplit(gateway.url)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        serving = asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self._server = asyncio.run_coroutine_threadsafe(serving, self._loop).result(60)
        self.url = f"https://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader, writer):
        from_gateway, to_gateway = await asyncio.open_connection(self._behind.hostname, self._behind.port)
        await asyncio.gather(self._pass_on(reader, to_gateway), self._pass_on(from_gateway, writer))

    @staticmethod
    async def _pass_on(reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._server.close)
        shutil.rmtree(self.folder, ignore_errors=True)


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


def http(method, url, body=None, headers=None, timeout=60):
    """A plain HTTP request: (status, body)."""
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
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
