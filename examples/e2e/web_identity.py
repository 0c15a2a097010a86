"""Both sides of a web identity: an OpenID provider, JWTs good and bad, and the clients that present them."""

import base64
import contextlib
import hashlib
import json
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from unittest import mock

import boto3
from botocore import UNSIGNED
from botocore.config import Config

from harness import CACHE, end_with_parent, equal, free_port, http

NODE = os.path.join(CACHE, "node")
AUDIENCE = "urn:sts"
SUBJECT = "svc"


class SigningKey:
    """An RSA key and a certificate of it, made now. `path` and `certificate` are files."""

    def __init__(self, folder, name):
        self.name = name
        self.path, self.certificate = (os.path.join(folder, f"{name}.{ending}") for ending in ("pem", "crt"))
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                   "-keyout", self.path, "-out", self.certificate]
        subprocess.run(command, capture_output=True, check=True, timeout=60, stdin=subprocess.DEVNULL)
        os.chmod(self.path, 0o600)

    @property
    def public(self):
        """The file of the public key, as an attacker has it."""
        path = self.path + ".pub"
        if not os.path.exists(path):
            command = ["openssl", "pkey", "-in", self.path, "-pubout", "-out", path]
            subprocess.run(command, check=True, timeout=60, stdin=subprocess.DEVNULL)
        return path

    @property
    def thumbprint(self):
        """SHA-1 of the certificate, as IAM wants it."""
        return hashlib.sha1(base64.b64decode(certificate(self)), usedforsecurity=False).hexdigest().upper()


class Provider:
    """panva's oidc-provider. The first key signs, all are published; `restart` does the same with other keys."""

    def __init__(self, *keys):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._secret = os.urandom(24).hex()
        self._start(keys)

    def _start(self, keys):
        self.keys = keys
        self.paths = []
        self._process = subprocess.Popen(["node", "provider.mjs"], cwd=NODE, stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                         preexec_fn=end_with_parent)
        settings = {
            "port": self.port,
            "keys": [{"kid": key.name, "key": key.path, "certificate": key.certificate} for key in keys],
            "client": {"id": SUBJECT, "secret": self._secret},
            "audience": AUDIENCE,
        }
        self._process.stdin.write(json.dumps(settings))
        self._process.stdin.close()
        lines = queue.Queue()

        def read(stdout, paths):
            for line in stdout:
                word, _, rest = line.strip().partition(" ")
                if word == "served":
                    paths.append(rest)
                else:
                    lines.put(line)
            lines.put("")

        threading.Thread(target=read, args=(self._process.stdout, self.paths), daemon=True).start()
        line = lines.get(timeout=60)
        if not line.startswith("ready "):
            raise RuntimeError(f"the OpenID provider did not start: {line}")

    def token(self, **form):
        """A JWT by client credentials."""
        form = {"grant_type": "client_credentials", "scope": "api", "resource": AUDIENCE, **form}
        basic = base64.b64encode(f"{SUBJECT}:{self._secret}".encode()).decode()
        headers = {"authorization": f"Basic {basic}", "content-type": "application/x-www-form-urlencoded"}
        status, body = http("POST", self.url + "/token", urllib.parse.urlencode(form).encode(), headers)
        equal(status, 200)
        return json.loads(body)["access_token"]

    def restart(self, *keys):
        self.stop()
        self._start(keys)

    def stop(self):
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


# --- JWTs ------------------------------------------------------------------------------------------------------------


def mint(*orders):
    """A JWT for each order: {claims, header, key}."""
    done = subprocess.run(["node", "mint.mjs"], cwd=NODE, input=json.dumps(orders), capture_output=True, text=True,
                          check=False, timeout=60)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)


def claims(issuer, subject=SUBJECT, **changed):
    """What a good JWT says now; a claim that is changed to None is left out."""
    now = int(time.time())
    found = {"iss": issuer, "sub": subject, "aud": AUDIENCE, "iat": now - 5, "nbf": now - 5, "exp": now + 600}
    return {name: value for name, value in {**found, **changed}.items() if value is not None}


def good_token(issuer, key, kid, subject=SUBJECT, **changed):
    return mint(order(issuer, key, kid, subject, **changed))[0]


def order(issuer, key, kid, subject=SUBJECT, header=None, **changed):
    head = {"alg": "RS256", "kid": kid, "typ": "JWT", **(header or {})}
    return {"claims": claims(issuer, subject, **changed), "header": head, "key": getattr(key, "path", key)}


def bad_tokens(issuer, key, kid, stranger, subject=SUBJECT):
    """Each is a token of `issuer`, signed by `key`, but for one thing: [(what, token)]. The first is good."""
    now = int(time.time())
    orders = {
        "good": {},
        "expired": {"iat": now - 900, "nbf": now - 900, "exp": now - 300},
        "wrong aud": {"aud": "urn:another"},
        "one aud of two is wrong": {"aud": ["urn:another", AUDIENCE]},
        "no aud": {"aud": None},
        "wrong issuer": {"iss": "http://127.0.0.1:1"},
        "issuer with a slash more": {"iss": issuer + "/"},
        "future nbf": {"nbf": now + 300},
        "future nbf and iat": {"nbf": now + 300, "iat": now + 300},
        "no exp": {"exp": None},
        "exp is a text": {"exp": str(now + 600)},
        "alg none": {"header": {"alg": "none"}},
        "HS256 with the public key": {"header": {"alg": "HS256"}, "signer": key.public},
        "HS256 with the certificate": {"header": {"alg": "HS256"}, "signer": key.certificate},
        "key of a stranger": {"signer": stranger.path},
        "key of a stranger, under its own kid": {"signer": stranger.path, "header": {"kid": "stranger"}},
    }
    signers = {what: changed.pop("signer", key) for what, changed in orders.items()}
    minted = mint(*(order(issuer, signers[what], kid, subject, **changed) for what, changed in orders.items()))
    tokens = dict(zip(orders, minted))
    head, payload, signature = tokens["good"].split(".")
    tokens["tampered signature"] = f"{head}.{payload}.{flip(signature)}"
    tokens["no signature"] = f"{head}.{payload}."
    tokens["tampered payload"] = f"{head}.{encode(claims(issuer, 'admin'))}.{signature}"
    tokens["tampered header"] = f"{encode({'alg': 'RS256', 'kid': kid, 'x': 1})}.{payload}.{signature}"
    tokens["alg none, with the good signature"] = f"{encode({'alg': 'none', 'kid': kid})}.{payload}.{signature}"
    tokens["cut short"] = tokens["good"][:-40]
    return tokens


def encode(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def flip(text):
    """Another letter in the middle, where every bit counts."""
    middle = len(text) // 2
    return text[:middle] + ("A" if text[middle] != "A" else "B") + text[middle + 1:]


def certificate(key):
    """The certificate of a key as `x5c` has it."""
    with open(key.certificate, encoding="ascii") as file:
        return re.sub(r"-----[^-]+-----|\s", "", file.read())


def public_jwk(key):
    """The public key, as the world reads it."""
    command = ["openssl", "rsa", "-in", key.path, "-noout", "-modulus"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, stdin=subprocess.DEVNULL)
    modulus = bytes.fromhex(done.stdout.strip().removeprefix("Modulus="))
    return {"kty": "RSA", "e": "AQAB", "n": base64.urlsafe_b64encode(modulus).rstrip(b"=").decode()}


# --- clients ---------------------------------------------------------------------------------------------------------


class Identity:
    """A token file as a workload has it, and the environment that tells the SDKs of it."""

    def __init__(self, endpoint, role, token, session="e2e", region="us-east-1"):
        self._folder = tempfile.TemporaryDirectory(prefix="credfed-e2e-")  # gone when this is
        self.folder = self._folder.name
        self.file = os.path.join(self.folder, "token")
        self.write(token)
        self.env = {
            "AWS_WEB_IDENTITY_TOKEN_FILE": self.file,
            "AWS_ROLE_ARN": role,
            "AWS_ROLE_SESSION_NAME": session,
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ENDPOINT_URL_STS": endpoint,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
        }

    def write(self, token):
        """Replaces the file as a whole, as the kubelet does."""
        with open(self.file + ".new", "w", encoding="ascii") as file:
            file.write(token)
        os.replace(self.file + ".new", self.file)

    def boto3(self):
        """A session of boto3's that found its credentials by the environment alone."""
        with mock.patch.dict(os.environ, self.env):
            session = boto3.Session(region_name=self.env["AWS_REGION"])
            session.get_credentials().get_frozen_credentials()
        return session

    def aws(self, *arguments, status=0, env=None):
        """The AWS CLI; without a status of 0 returns what it said on stderr too."""
        program = os.path.join(os.path.dirname(sys.executable), "aws")
        done = subprocess.run([sys.executable, program, *arguments], env={**os.environ, **self.env, **(env or {})},
                              cwd=self.folder, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
                              check=False)
        if (done.returncode == 0) != (status == 0):
            raise AssertionError(f"aws {' '.join(arguments)}: {done.returncode} {done.stdout} {done.stderr}")
        return done.stdout + done.stderr if status else done.stdout

    def sdk(self, checks, where, *arguments):
        """The AWS SDK for JavaScript: sdk.mjs, each of its checks counted as one of ours."""
        done = subprocess.run(["node", "sdk.mjs", *arguments], cwd=NODE, env={**os.environ, **self.env},
                              capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, check=False)

        def passed(line):
            if not line["ok"]:
                raise AssertionError(line["note"])
            return line.get("note")

        for line in map(json.loads, done.stdout.splitlines()):
            checks.run(f"JS SDK{where}: {line['check']}", passed, line)
        checks.run(f"JS SDK{where}: ran to its end", done.check_returncode)


def sts_client(endpoint, credentials=None, region="us-east-1"):
    """An STS client that signs with these credentials, or not at all; it leaves the checks to the server."""
    config = Config(retries={"total_max_attempts": 1}, parameter_validation=False)
    if credentials is None:
        config = config.merge(Config(signature_version=UNSIGNED))
    named = keywords(credentials) if credentials else {}
    return boto3.client("sts", endpoint_url=endpoint, region_name=region, config=config, **named)


def s3_client(endpoint, credentials, region="us-east-1", **config):
    """An S3 client that tries once."""
    return boto3.client("s3", endpoint_url=endpoint, region_name=region, **keywords(credentials), config=Config(**{
        "signature_version": "s3v4",
        "s3": {"addressing_style": "path"},
        "retries": {"total_max_attempts": 1},
        **config,
    }))


def keywords(credentials):
    """Credentials as STS answers them, or (access key id, secret), as boto3 takes them."""
    if isinstance(credentials, dict):
        return {
            "aws_access_key_id": credentials["AccessKeyId"],
            "aws_secret_access_key": credentials["SecretAccessKey"],
            "aws_session_token": credentials["SessionToken"],
        }
    access, secret = credentials
    return {"aws_access_key_id": access, "aws_secret_access_key": secret}


class Load:
    """Runs calls over and over in threads of their own until the block ends; `finish` tells how it went."""

    def __init__(self, **calls):
        self._ended = threading.Event()
        self.counts = dict.fromkeys(calls, 0)
        self.failures = []
        self._threads = [threading.Thread(target=self._run, args=named, daemon=True) for named in calls.items()]

    def _run(self, name, call):
        while not self._ended.is_set():
            try:
                call()
            except Exception as error:  # pylint: disable=broad-except
                self.failures.append(f"{name} after {self.counts[name]}: {error!r:.500}")
            else:
                self.counts[name] += 1
            self._ended.wait(0.02)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        for thread in self._threads:
            thread.join(timeout=60)

    def finish(self):
        """0 failures, and each of the calls did run."""
        self.__exit__()
        if self.failures:
            raise AssertionError(f"{len(self.failures)} failed, {self.counts} worked; first: {self.failures[0]}")
        equal([name for name, count in self.counts.items() if count < 5], [])
        return ", ".join(f"{count} {name}" for name, count in self.counts.items()) + ", 0 failures"


def within(seconds, what, ready):
    """Asks until the answer is true (an exception is not), and tells after how long it was."""
    began = time.monotonic()
    while True:
        with contextlib.suppress(Exception):
            if ready():
                return time.monotonic() - began
        if time.monotonic() - began > seconds:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.1)
