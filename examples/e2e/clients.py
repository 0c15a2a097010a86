"""Nine clients of S3 against the gateway, each in every way that it has: with a long-lived key and with a session, by
header and by presigned URL, with checksums and without, in clear text and over TLS."""

import collections
import concurrent.futures
import dataclasses
import hashlib
import os
import re
import shutil
import ssl
import subprocess
import tempfile
import time
import traceback

import boto3
from botocore import UNSIGNED
from botocore.config import Config

import client_kinds
from client_kinds import Access, Failed, NotApplicable
from harness import Checks, Gateway, equal, http

MIB = 1 << 20
SIZE = 20 * MIB
# More than one page, whose size not every client lets its user choose.
MANY = 1005

# What a key may hold, by its name here: clients say by that name what they cannot name themselves.
KEYS = {
    "blanks": "a folder/two  blanks",
    "blank at the end": "at the end ",
    "unicode": "grüße/日本語 🦀",
    "plus": "plus+and+plus",
    "query": "what?a=b&c",
    "hash": "hash#tag",
    "percent": "100%/%25%2F%zz",
    "tilde": "~tilde/~",
    "marks": "(quote)!*';:@,$=[]{}|^`<>",
    "double slash": "double//slash",
    "trailing slash": "trailing/slash/",
}

# Keys that the gateway refuses whoever asks (examples/README.md says why). What matters is that they arrive as they are.
REFUSED = {"leading slash": "/leading/slash", "dot": "a/./dot", "dots": "a/../dots"}


@dataclasses.dataclass
class Row:
    """One client in one way, and what came of it."""

    kind: type
    credential: str
    checksums: bool
    transport: str
    bucket: str
    header: list = dataclasses.field(default_factory=list)
    presigned: list = dataclasses.field(default_factory=list)
    failures: list = dataclasses.field(default_factory=list)
    notes: set = dataclasses.field(default_factory=set)
    modes: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    seconds: float = 0.0

    def title(self):
        checksums = "" if not self.kind.switch else f", checksums {'on' if self.checksums else 'off'}"
        return f"{self.kind.name}: {self.credential}{checksums}, {self.transport}"

    def check(self, carrier, name, check, *arguments):
        outcomes = getattr(self, carrier)
        try:
            check(*arguments)
        except NotApplicable as why:
            self.notes.add(f"{name}: {why}")
        except Exception as error:  # pylint: disable=broad-except
            outcomes.append(False)
            where = traceback.extract_tb(error.__traceback__)[-1]
            self.failures.append(f"{carrier}, {name}: {type(error).__name__}: {error} ({where.name}, line {where.lineno})")
        else:
            outcomes.append(True)


class Server:
    """A gateway, a certificate if it serves TLS, and what clients need to know of both."""

    def __init__(self, transport, folder):
        self.certificate = None
        arguments = []
        if transport == "TLS":
            self.certificate, cert, key = certificates(folder)
            arguments = ["--tls-cert", cert, "--tls-key", key]
        self.gateway = Gateway(*arguments, env={"RUST_LOG": "info,gateway=debug"})
        self.region = self.gateway.exports["AWS_REGION"]
        static = (*self.gateway.key, None)
        self.credentials = {"static": static, "session": self._session()}
        # Who looks at what a client did is told from it by the kind of key.
        other = {"static": "session", "session": "static"}
        self.owners = {kind: client_kinds.Boto3(self.access(other[kind], True, folder)).s3 for kind in other}
        self.context = ssl.create_default_context(cafile=self.certificate) if self.certificate else None

    def _session(self):
        exports = self.gateway.exports
        sts = boto3.client("sts", endpoint_url=self.gateway.url, region_name=self.region, verify=self.certificate,
                           config=Config(signature_version=UNSIGNED))
        with open(exports["AWS_WEB_IDENTITY_TOKEN_FILE"], encoding="ascii") as file:
            token = file.read()
        found = sts.assume_role_with_web_identity(
            RoleArn=exports["AWS_ROLE_ARN"], RoleSessionName="clients", WebIdentityToken=token)["Credentials"]
        return found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"]

    def access(self, credential, checksums, folder, **changed):
        key, secret, token = self.credentials[credential]
        access = Access(self.gateway.url, self.region, key, secret, token, self.certificate, checksums, folder)
        return dataclasses.replace(access, **changed)


def certificates(folder):
    """A root, and of it a certificate for the loopback address with its key: (root, certificate, key)."""
    root, root_key = os.path.join(folder, "root.pem"), os.path.join(folder, "root-key.pem")
    cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")

    def openssl(*arguments):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-days", "2", *arguments], check=True, capture_output=True, timeout=120)

    openssl("-subj", "/CN=root", "-addext", "keyUsage=critical,keyCertSign", "-keyout", root_key, "-out", root)
    openssl("-subj", "/CN=gateway", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
            "-addext", "basicConstraints=critical,CA:FALSE", "-CA", root, "-CAkey", root_key, "-keyout", key, "-out", cert)
    return root, cert, key


# --- what each client is put through ---------------------------------------------------------------------------------


def basics(client, bucket):
    client.put(bucket, "basics/one", "hello")
    equal(client.get(bucket, "basics/one"), "hello")
    equal(client.head(bucket, "basics/one"), 5)
    client.put(bucket, "basics/empty", "")
    equal(client.get(bucket, "basics/empty"), "")
    client.copy(bucket, "basics/one", "basics/copy of it")
    equal(client.get(bucket, "basics/copy of it"), "hello")
    client.delete(bucket, "basics/one")
    try:
        client.get(bucket, "basics/one")
    except Exception:  # pylint: disable=broad-except
        return
    raise AssertionError("it is there after it was deleted")


def odd_key(client, owner, bucket, key):
    client.put(bucket, key, key)
    equal(client.get(bucket, key), key)
    # It is there under this very name.
    equal(owner.head_object(Bucket=bucket, Key=key)["ContentLength"], len(key.encode()))


def refused_key(client, bucket, key):
    try:
        client.put(bucket, key, key)
    except Exception as error:  # pylint: disable=broad-except
        if not re.search("AccessDenied|Access Denied|Forbidden|403", f"{error}"):
            raise
        return
    raise AssertionError(f"not refused: {key}")


def streamed(client, bucket, path):
    small = f"{path}-{bucket}-small"
    with open(path, "rb") as big, open(small, "wb") as file:
        file.write(big.read(MIB + 1))
    client.stream(bucket, "streamed", small)
    client.download(bucket, "streamed", f"{small}-back")
    equal(digest(f"{small}-back"), digest(small))


def odd_copy(client, bucket):
    client.put(bucket, KEYS["plus"] + " é%", "copied")
    client.copy(bucket, KEYS["plus"] + " é%", "copy/é +%")
    equal(client.get(bucket, "copy/é +%"), "copied")


def listing(client, bucket):
    for key in ["list/a/1", "list/a/2", "list/b é+/1", "list/c", "other"]:
        client.put(bucket, key, "x")
    keys, prefixes = client.list(bucket, "list/", True)
    equal((sorted(keys), sorted(prefixes)), (["list/c"], ["list/a/", "list/b é+/"]))
    keys, prefixes = client.list(bucket, "list/", False)
    equal(sorted(keys), ["list/a/1", "list/a/2", "list/b é+/1", "list/c"])


def pages(client):
    keys, _ = client.list("many", "many/", False)
    equal(sorted(keys), [f"many/{number:04}" for number in range(MANY)])


def parts(client, bucket, path):
    found = f"{path}-{bucket}-back"
    client.upload(bucket, "big/in parts", path)
    equal(client.head(bucket, "big/in parts"), SIZE)
    client.download(bucket, "big/in parts", found)
    equal(digest(found), digest(path))
    os.remove(found)


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def presigned_get(client, server, bucket, key):
    if "GET" not in client.presigns:
        raise NotApplicable(client.no_presign)
    client.put(bucket, key, key)
    url = client.presign(bucket, key, "GET")
    equal(http("GET", url, context=server.context), (200, key.encode()))
    # A URL for one key opens no other, and one for reading writes nothing.
    equal(http("PUT", url, b"other", context=server.context)[0], 403)


def presigned_put(client, server, bucket, key):
    if hasattr(client, "put_presigned"):
        client.put_presigned(bucket, key, "by its URL alone")
    elif "PUT" not in client.presigns:
        raise NotApplicable(client.no_presign)
    else:
        url = client.presign(bucket, key, "PUT")
        if "x-amz-checksum" in url:
            raise NotApplicable("with checksums on, it signs that of an empty body into the URL")
        status, said = http("PUT", url, b"by its URL alone", context=server.context)
        equal((status, said), (200, b""))
    equal(client.get(bucket, key), "by its URL alone")


def run(row, server, path, folder):
    """One client in one way through everything."""
    began = time.monotonic()
    owner = server.owners[row.credential]
    client = row.kind(server.access(row.credential, row.checksums, folder))
    try:
        row.check("header", "put, get, head, copy, delete", basics, client, row.bucket)
        row.check("header", "list by prefix and delimiter", listing, client, row.bucket)
        row.check("header", "list of several pages", pages, client)
        row.check("header", "20 MiB in parts, up and down", parts, client, row.bucket, path)
        row.check("header", "a file in one PUT", streamed, client, row.bucket, path)
        row.check("header", "copy of an odd key", odd_copy, client, row.bucket)
        for name, key in KEYS.items():
            if name in client.changes:
                row.notes.add(f"key with {name}: {client.changes[name]}")
                continue
            row.check("header", f"key with {name}", odd_key, client, owner, row.bucket, key)
            if "GET" in client.presigns:
                row.check("presigned", f"GET of a key with {name}", presigned_get, client, server, row.bucket, key)
        for name, key in REFUSED.items():
            if name in client.changes:
                row.notes.add(f"key with {name}: {client.changes[name]}")
            else:
                row.check("header", f"key with {name}", refused_key, client, row.bucket, key)
        row.check("presigned", "GET", presigned_get, client, server, row.bucket, "presigned/got")
        row.check("presigned", "PUT", presigned_put, client, server, row.bucket, "presigned/put é+")
    finally:
        client.close()
        row.seconds = time.monotonic() - began
    return row


def refusals(kind, server, folder, bucket):
    """A wrong secret, and a session's key without its token."""
    server.owners["static"].put_object(Bucket=bucket, Key="there", Body=b"x")
    for credential, change, says in [
        ("static", {"secret": "a-wrong-secret-a-wrong-secret-a-wrong-se"}, kind.wrong_secret),
        ("session", {"secret": "a-wrong-secret-a-wrong-secret-a-wrong-se"}, kind.wrong_secret),
        ("session", {"token": None}, kind.no_token),
    ]:
        client = kind(server.access(credential, True, folder, **change))
        try:
            client.get(bucket, "there")
        except Exception as error:  # pylint: disable=broad-except
            if says not in f"{error}":
                raise AssertionError(f"it does not say {says}: {error}") from error
        else:
            raise AssertionError(f"not refused: {credential} {list(change)}")
        finally:
            client.close()
    return f"as {kind.wrong_secret} and {kind.no_token}"


# --- what the gateway saw --------------------------------------------------------------------------------------------

SEEN = re.compile(r'verified carrier=(\w+) key=(\w+) payload="([\w-]+)" method=(\w+) target="/([^/?"]+)')


def read_log(server, rows):
    """Tells each row which payload modes its requests had, by its bucket."""
    by_bucket = {row.bucket: row for row in rows}
    for carrier, key, mode, method, bucket in SEEN.findall(server.gateway.log()):
        row = by_bucket.get(bucket)
        if row and key == {"static": "Static", "session": "Temporary"}[row.credential]:
            row.modes[carrier, mode] += 1


def main():
    checks = Checks()
    folder = tempfile.mkdtemp(prefix="credfed-e2e-")
    wanted = os.environ.get("E2E_CLIENTS", "").split()
    kinds = [kind for kind in client_kinds.ALL if not wanted or kind.name in wanted]
    servers = {}
    try:
        for transport in ("HTTP", "TLS"):
            servers[transport] = Server(transport, folder)
        drive(checks, kinds, servers, folder)
    finally:
        for server in servers.values():
            server.gateway.stop()
        shutil.rmtree(folder, ignore_errors=True)
    checks.finish()


def drive(checks, kinds, servers, folder):
    path = os.path.join(folder, "big")
    with open(path, "wb") as file:
        file.write(b"".join(hashlib.sha256(number.to_bytes(8, "big")).digest() for number in range(SIZE // 32)))
    for kind in [kind for kind in kinds if kind.missing()]:
        print(f"\n  !!  LEFT OUT: {kind.name}: {kind.missing()}\n")
    kinds = [kind for kind in kinds if not kind.missing()]
    rows = [
        Row(kind, credential, checksums, transport,
            f"{kind.name.replace('_', '-')}-{credential}-{'on' if checksums else 'off'}")
        for kind in kinds
        for transport in servers
        for credential in ("static", "session")
        for checksums in ((True, False) if kind.switch else (True,))
    ]
    with concurrent.futures.ThreadPoolExecutor(max_workers=(os.cpu_count() or 1) + 1) as pool:
        for server in servers.values():
            server.owners["static"].create_bucket(Bucket="many")
            list(pool.map(lambda number, owner=server.owners["static"]: owner.put_object(Bucket="many", Key=f"many/{number:04}"),
                          range(MANY)))
        for row in rows:
            servers[row.transport].owners[row.credential].create_bucket(Bucket=row.bucket)
        under_way = [pool.submit(run, row, servers[row.transport], path, folder) for row in rows]
        for done in concurrent.futures.as_completed(under_way):
            row = done.result()
            for outcome in row.header + row.presigned:
                checks.passed, checks.failed = checks.passed + outcome, checks.failed + (not outcome)
            print(f"{'FAILED ' if row.failures else 'ok     '} {row.title()}: header {count(row.header)}, "
                  f"presigned {count(row.presigned)} ({row.seconds:.1f} s)", flush=True)
            for failure in row.failures:
                print("        " + failure.replace("\n", "\n        "), flush=True)
    for kind in kinds:
        row = next(row for row in rows if row.kind is kind)
        checks.run(f"{kind.name}: refusals", refusals, kind, servers["HTTP"], folder, row.bucket)
    for transport, server in servers.items():
        read_log(server, [row for row in rows if row.transport == transport])
    import shutil as sh
    for t, server in servers.items(): sh.copy(server.gateway.log_path, f"/tmp/ct/clients-{t}.log")
    for row in rows:
        print(row.title(), dict(row.modes), row.notes)


def count(outcomes):
    return f"{sum(outcomes)}/{len(outcomes)}" if outcomes else "n/a"


if __name__ == "__main__":
    main()
