"""A Ceph cluster of one: a monitor, an object store in memory, and radosgw with STS, on free loopback ports."""

import fcntl
import os
import secrets
import shutil
import subprocess
import time
import uuid

from harness import CACHE, end_with_parent, free_port, http
from inbound import private

PROGRAMS = ["ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "ceph", "ceph-authtool", "monmaptool"]

CONFIGURATION = """
[global]
fsid = {fsid}
mon initial members = a
mon host = [v2:127.0.0.1:{monitor}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind msgr1 = false
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
auth allow insecure global id reclaim = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
mon data avail warn = 1
mon data avail crit = 0
paxos propose interval = 0.05
paxos min wait = 0.02
keyring = {folder}/keyring
run dir = {folder}
crash dir = {folder}
admin socket =
log file =
log to stderr = true
err to stderr = true
[mon]
mon data = {folder}/mon
[osd]
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 1073741824
[client.rgw.a]
rgw data = {folder}/rgw
rgw frontends = beast endpoint=127.0.0.1:{gateway}
rgw s3 auth use sts = true
rgw sts key = {sts_key}
rgw enable ops log = false
rgw enable usage log = false
rgw gc max objs = 1
rgw lc max objs = 1
debug rgw = 10
"""

CAPABILITIES = {
    "mon.": ["mon", "allow *"],
    "client.admin": ["mon", "allow *", "osd", "allow *", "mgr", "allow *"],
    "osd.0": ["mon", "allow profile osd", "osd", "allow *"],
    "client.rgw.a": ["mon", "allow rwx", "osd", "allow rwx"],
}


def missing():
    """The programs of Ceph's that are not there."""
    return [program for program in PROGRAMS if not shutil.which(program)]


class Cluster:
    """`url` is radosgw's, for S3, IAM and STS alike."""

    def __init__(self):
        self.folder = os.path.join(CACHE, "ceph")
        self._daemons = []
        # One cluster a checkout: the folder is emptied at each start.
        os.makedirs(CACHE, exist_ok=True)
        self._lock = open(os.path.join(CACHE, "ceph.lock"), "wb")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError(f"another run is using {self.folder}") from None
        began = time.monotonic()
        try:
            self._lay()
            self._start()
        except BaseException:
            self.stop()
            raise
        print(f"        radosgw answers at {self.url} after {time.monotonic() - began:.1f} s")

    def _lay(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        for name in ("mon", "osd", "rgw", "log"):
            os.makedirs(os.path.join(self.folder, name), mode=0o700)
        fsid, monitor, gateway = uuid.uuid4(), free_port(), free_port()
        self.url = f"http://127.0.0.1:{gateway}"
        self.conf = os.path.join(self.folder, "ceph.conf")
        keyring, monmap = (os.path.join(self.folder, name) for name in ("keyring", "monmap"))
        with open(self.conf, "w", encoding="ascii", opener=private) as file:
            sts_key = secrets.token_hex(8)
            file.write(CONFIGURATION.format(fsid=fsid, monitor=monitor, gateway=gateway, sts_key=sts_key,
                                            folder=self.folder))
        self._run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", f"[v2:127.0.0.1:{monitor}]", monmap)
        self._run("ceph-authtool", "--create-keyring", keyring)
        for name, caps in CAPABILITIES.items():
            grants = [word for pair in zip(caps[::2], caps[1::2]) for word in ("--cap", *pair)]
            self._run("ceph-authtool", keyring, "--gen-key", "-n", name, *grants)
        self._run("ceph-mon", "-c", self.conf, "-i", "a", "--mkfs", "--monmap", monmap, "--keyring", keyring)

    def _start(self):
        self._daemon("mon", "ceph-mon", "-f", "-i", "a")
        osd = str(uuid.uuid4())
        self._ceph("osd", "create", osd, "0")
        self._run("ceph-osd", "-c", self.conf, "-i", "0", "--mkfs", "--osd-uuid", osd, "--no-mon-config")
        self._daemon("osd", "ceph-osd", "-f", "-i", "0")
        self._wait("the object store is up", lambda: "1 up" in self._ceph("osd", "stat"))
        self._daemon("rgw", "radosgw", "-f", "-n", "client.rgw.a")
        self._wait("radosgw answers", lambda: http("GET", self.url)[0] == 200)

    def _run(self, *command, timeout=60):
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=timeout,
                              stdin=subprocess.DEVNULL, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(map(str, command))}: {done.returncode} {done.stdout}{done.stderr}"[-2000:])
        return done.stdout

    def _ceph(self, *words):
        return self._run("ceph", "-c", self.conf, "--connect-timeout", "30", *words)

    def admin(self, *words):
        return self._run("radosgw-admin", "-c", self.conf, *words)

    def _daemon(self, name, program, *arguments):
        with open(self.log_path(name), "wb") as log:
            process = subprocess.Popen([program, "-c", self.conf, *arguments], stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=log, preexec_fn=end_with_parent)
        self._daemons.append((name, process))

    def _wait(self, what, ready, seconds=120):
        began = last = time.monotonic()
        while True:
            for name, process in self._daemons:
                if process.poll() is not None:
                    raise RuntimeError(f"{name} ended ({process.returncode}): {self.log(name)[-2000:]}")
            try:
                if ready():
                    return
            except OSError:
                pass
            now = time.monotonic()
            if now - began > seconds:
                raise TimeoutError(f"not within {seconds} s: {what}; {self.log(self._daemons[-1][0])[-2000:]}")
            if now - last > 5:
                print(f"        waiting until {what}, {now - began:.0f} s", flush=True)
                last = now
            time.sleep(0.1)

    def log_path(self, name):
        return os.path.join(self.folder, "log", name)

    def log(self, name):
        with open(self.log_path(name), encoding="utf-8", errors="replace") as log:
            return log.read()

    def user(self, name, key, *capabilities):
        """A user with a static key."""
        access, secret = key
        caps = ["--caps", ";".join(capabilities)] if capabilities else []
        self.admin("user", "create", "--uid", name, "--display-name", name, "--access-key", access, "--secret-key",
                   secret, *caps)

    def stop(self):
        """Ends the daemons. Nothing of theirs is kept, so none is waited for long."""
        for _, process in self._daemons:
            process.terminate()
        deadline = time.monotonic() + 2
        for _, process in self._daemons:
            try:
                process.wait(timeout=max(0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._daemons.clear()
        self._lock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
