"""Clients of S3 against the gateway, each in every way that it has: with a long-lived key and with a session, by header
and by presigned URL, with checksums and without, in clear text and over TLS."""

import collections
import concurrent.futures
import dataclasses
import hashlib
import os
import re
import shutil
import ssl
import sys
import tempfile
import time
import traceback

import boto3
from botocore import UNSIGNED
from botocore.config import Config

import client_kinds
from client_kinds import Access, NotApplicable
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
    """A gateway, and what clients need to know of it."""

    def __init__(self, transport, folder):
        # It says how each request was verified.
        self.gateway = Gateway(env={"RUST_LOG": "info,gateway=debug"}, tls=transport == "TLS")
        self.certificate = self.gateway.certificate
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
        found = client.get(bucket, "basics/one")
    except Exception as error:  # pylint: disable=broad-except
        # Gone, and not merely out of reach.
        if not re.search(r"NoSuchKey|Not ?Found|does not exist|(?<![\d:])404(?!\d)", f"{error}", re.IGNORECASE):
            raise
        return
    # rclone takes what is not there for an empty folder.
    equal(found, "")


def odd_key(client, owner, bucket, key):
    client.put(bucket, key, key)
    equal(client.get(bucket, key), key)
    # It is there under this very name.
    equal(owner.head_object(Bucket=bucket, Key=key)["ContentLength"], len(key.encode()))


def refused_key(client, bucket, key):
    try:
        client.put(bucket, key, key)
    except Exception as error:  # pylint: disable=broad-except
        # Of a port that is named with it, 403 may be a part.
        if not re.search(r"AccessDenied|Access Denied|Forbidden|(?<![\d:])403(?!\d)", f"{error}"):
            raise
        return
    raise AssertionError(f"not refused: {key}")


def streamed(client, bucket, path):
    small = os.path.join(client.access.folder, "small")
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
    found = os.path.join(client.access.folder, "back")
    client.upload(bucket, "big/in parts", path)
    equal(client.head(bucket, "big/in parts"), SIZE)
    client.download(bucket, "big/in parts", found)
    equal(digest(found), digest(path))


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def presigned_get(client, server, bucket, key):
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


def backup(client, bucket, path):
    equal(digest(client.exercise(bucket, path)), digest(path))


def run(row, server, path):
    """One client in one way through everything."""
    began = time.monotonic()
    owner = server.owners[row.credential]
    folder = tempfile.mkdtemp(prefix=f"{row.bucket}-", dir=os.path.dirname(path))
    client = row.kind(server.access(row.credential, row.checksums, folder))
    try:
        if hasattr(client, "exercise"):
            row.check("header", "backup and restore", backup, client, row.bucket, path)
            return row
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
        if client.presigns:
            row.check("presigned", "GET", presigned_get, client, server, row.bucket, "presigned/got")
            row.check("presigned", "PUT", presigned_put, client, server, row.bucket, "presigned/put é+")
    finally:
        client.close()
        row.seconds = time.monotonic() - began
        shutil.rmtree(folder, ignore_errors=True)
    return row


def refusals(kind, server, folder, bucket):
    """A wrong secret, a session's key without its token, and SigV2 where the client knows nothing else."""
    if hasattr(kind, "version_2_url"):
        url = kind(server.access("static", True, folder)).version_2_url(bucket, "basics/empty")
        status, said = http("GET", url)
        equal((status, b"Please use AWS4-HMAC-SHA256" in said), (400, True))
    for credential, change, says in [
        ("static", {"secret": "a-wrong-secret-a-wrong-secret-a-wrong-se"}, kind.wrong_secret),
        ("session", {"secret": "a-wrong-secret-a-wrong-secret-a-wrong-se"}, kind.wrong_secret),
        ("session", {"token": None}, kind.no_token),
    ]:
        client = kind(server.access(credential, True, folder, **change))
        try:
            client.list(bucket, "", False)
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
SIGNED, SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
SHORT = {"SHA256": "hashed", "UNSIGNED-PAYLOAD": "unsigned", SIGNED: "signed chunks",
         SIGNED_TRAILER: "signed chunks and trailer", UNSIGNED_TRAILER: "unsigned chunks and trailer"}

# By client, checksums and transport: how its uploads must have been sent, or a row proves less than it says.
SENDS = {
    ("boto3", True, "TLS"): UNSIGNED_TRAILER,
    ("aws-cli", True, "TLS"): UNSIGNED_TRAILER,
    ("aws-sdk-s3", True, "TLS"): UNSIGNED_TRAILER,
    ("aws-sdk-s3", True, "HTTP"): SIGNED_TRAILER,
    ("aws-sdk-js", True, "TLS"): UNSIGNED_TRAILER,
    ("aws-sdk-js", True, "HTTP"): UNSIGNED_TRAILER,
    ("curl", True, "HTTP"): "SHA256",
    ("curl", False, "HTTP"): "UNSIGNED-PAYLOAD",
    ("restic", True, "HTTP"): SIGNED,
}


def read_log(server, rows):
    """Tells each row which carriers and payload modes its requests were verified with, by its bucket."""
    by_bucket = {row.bucket: row for row in rows}
    kinds = {"static": "Static", "session": "Temporary"}
    for carrier, key, mode, _, bucket in SEEN.findall(server.gateway.log()):
        row = by_bucket.get(bucket)
        if row and key == kinds[row.credential]:
            row.modes[carrier, mode] += 1


def sent(row):
    wanted = SENDS.get((row.kind.name, row.checksums, row.transport))
    if not row.modes["Header", wanted or "SHA256"] + (0 if wanted else row.modes["Header", "UNSIGNED-PAYLOAD"]):
        raise AssertionError(f"not as {wanted or 'hashed or unsigned'}: {dict(row.modes)}")
    if row.presigned and not sum(count for (carrier, _), count in row.modes.items() if carrier == "Presigned"):
        raise AssertionError(f"nothing came presigned: {dict(row.modes)}")


def all_modes(rows):
    seen = collections.Counter()
    for row in rows:
        seen.update(row.modes)
    for mode in SHORT:
        if not seen["Header", mode]:
            raise AssertionError(f"no client sent {mode}")
    return ", ".join(f"{SHORT[mode]} {seen['Header', mode]}" for mode in SHORT) + \
        f"; presigned {seen['Presigned', 'UNSIGNED-PAYLOAD']}"


# --- the whole ------------------------------------------------------------------------------------------------------


def main():
    checks = Checks()
    wanted = os.environ.get("E2E_CLIENTS", "").split()
    kinds = [kind for kind in client_kinds.ALL if not wanted or kind.name in wanted]
    unknown = set(wanted) - {kind.name for kind in kinds}
    if unknown:
        names = " ".join(kind.name for kind in client_kinds.ALL)
        sys.exit(f"E2E_CLIENTS: there is no {', '.join(sorted(unknown))}; there are: {names}")
    folder = tempfile.mkdtemp(prefix="credfed-e2e-")
    for kind in [kind for kind in kinds if kind.missing()]:
        print(f"\n  !!  LEFT OUT: {kind.missing()}; nothing is said of it below\n")
    kinds = [kind for kind in kinds if not kind.missing()]
    servers = {}
    try:
        for transport in ("HTTP", "TLS"):
            servers[transport] = Server(transport, folder)
        rows = drive(checks, kinds, servers, folder)
        for transport, server in servers.items():
            read_log(server, [row for row in rows if row.transport == transport])
    finally:
        for server in servers.values():
            server.gateway.stop()
        shutil.rmtree(folder, ignore_errors=True)
    for row in rows:
        row.check("header", "payload modes", sent, row)
        tell(checks, row, quiet=True)
    if kinds == client_kinds.ALL:
        checks.run("every payload mode was sent by some client", all_modes, rows)
    print(table(rows))
    checks.finish()


def drive(checks, kinds, servers, folder):
    path = os.path.join(folder, "big")
    with open(path, "wb") as file:
        file.write(b"".join(hashlib.sha256(number.to_bytes(8, "big")).digest() for number in range(SIZE // 32)))
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
            owner = server.owners["static"]
            owner.create_bucket(Bucket="many")
            list(pool.map(lambda key, owner=owner: owner.put_object(Bucket="many", Key=key),
                          (f"many/{number:04}" for number in range(MANY))))
        for row in rows:
            servers[row.transport].owners[row.credential].create_bucket(Bucket=row.bucket)
        under_way = [pool.submit(run, row, servers[row.transport], path) for row in rows]
        for done in concurrent.futures.as_completed(under_way):
            tell(checks, done.result())
    for kind in kinds:
        bucket = next(row.bucket for row in rows if row.kind is kind)
        checks.run(f"{kind.name}: refusals", refusals, kind, servers["HTTP"], folder, bucket)
    return rows


def tell(checks, row, quiet=False):
    """Counts what is new of a row, and prints it."""
    outcomes = row.header + row.presigned
    fresh = outcomes[-1:] if quiet else outcomes
    checks.passed += sum(fresh)
    checks.failed += len(fresh) - sum(fresh)
    if not quiet:
        print(f"{'FAILED ' if row.failures else 'ok     '} {row.title()}: header {count(row.header)}, "
              f"presigned {count(row.presigned)} ({row.seconds:.1f} s)")
    for failure in row.failures[-1:] if quiet and not outcomes[-1] else [] if quiet else row.failures:
        print("        " + failure.replace("\n", "\n        "))
    sys.stdout.flush()


def table(rows):
    """Client, credential, checksums, transport; what passed by header and by URL; how payloads came; and what a client
    has not, with the reason."""
    lines = [("client", "credential", "checksums", "transport", "header", "presigned", "payloads, as verified"), None]
    for row in rows:
        checksums = ("on" if row.checksums else "off") if row.kind.switch else "n/a"
        modes = collections.Counter()
        for (_, mode), seen in row.modes.items():
            modes[mode] += seen
        payloads = ", ".join(f"{SHORT[mode]} {seen}" for mode, seen in modes.most_common())
        lines.append((row.kind.name, row.credential, checksums, row.transport, count(row.header), count(row.presigned),
                      payloads))
    widths = [max(len(line[column]) for line in lines if line) for column in range(len(lines[0]))]
    text = "\n"
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths)] if line else ["-" * width for width in widths]
        text += "| " + " | ".join(cells) + " |\n"
    text += "\nNot applicable:\n"
    for kind in dict.fromkeys(row.kind for row in rows):
        notes = kind.remarks.union(*(row.notes for row in rows if row.kind is kind))
        notes |= set() if kind.switch else {f"switch for checksums: {kind.no_switch}"}
        notes |= {f"presigned: {kind.no_presign}"} if not kind.presigns else set()
        text += "".join(f"  {kind.name}: {note}\n" for note in sorted(notes))
    return text


def count(outcomes):
    """`passed/all`."""
    return f"{sum(outcomes)}/{len(outcomes)}" if outcomes else "n/a"


if __name__ == "__main__":
    main()
