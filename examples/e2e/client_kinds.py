"""Clients of S3 behind one face: put, get, head, delete, copy, list, upload, download, presign.

Each is what its users run: a library in this process, a command, or a small program around a library that is told
what to do (s3_client.mjs, rust-clients). What a client cannot do is NotApplicable, with the reason.
"""

import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
import urllib.parse
import xml.etree.ElementTree

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

from harness import CACHE, end_with_parent

HERE = os.path.dirname(os.path.abspath(__file__))
PART = 5 << 20


@dataclasses.dataclass(frozen=True)
class Access:
    """Where a client goes, as whom, and how."""

    url: str
    region: str
    key: str
    secret: str
    token: str | None
    # The certificate to trust; None over plain HTTP.
    certificate: str | None
    checksums: bool
    # For its files.
    folder: str


class NotApplicable(Exception):
    """The client has no such thing."""


class Failed(Exception):
    """What a command or a program said as it failed."""


class Client:
    # Whether checksums of uploads can be switched, and if not, why.
    switch = True
    no_switch = ""
    # Keys that the client itself changes or refuses, and why.
    changes = {}
    remarks = set()
    presigns = ("GET", "PUT")
    no_presign = ""
    # What it says of a wrong signature.
    wrong_secret = "SignatureDoesNotMatch"
    # ... and of a session's key without its token.
    no_token = "InvalidAccessKeyId"

    def __init__(self, access):
        self.access = access

    @classmethod
    def missing(cls):
        """Why it cannot run here, if it cannot."""
        return None

    def stream(self, bucket, key, path):
        """One PUT of a file, which is read as it is sent."""
        raise NotApplicable("it is what `put` does")

    def close(self):
        """Ends what was started for it."""


class Boto3(Client):
    name = "boto3"

    def __init__(self, access):
        super().__init__(access)
        when = "when_supported" if access.checksums else "when_required"
        self.s3 = boto3.session.Session().client(
            "s3",
            endpoint_url=access.url,
            verify=access.certificate,
            region_name=access.region,
            aws_access_key_id=access.key,
            aws_secret_access_key=access.secret,
            aws_session_token=access.token,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                retries={"total_max_attempts": 1},
                request_checksum_calculation=when,
                response_checksum_validation=when,
            ),
        )

    def put(self, bucket, key, body):
        self.s3.put_object(Bucket=bucket, Key=key, Body=body.encode())

    def get(self, bucket, key):
        return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()

    def head(self, bucket, key):
        return self.s3.head_object(Bucket=bucket, Key=key)["ContentLength"]

    def delete(self, bucket, key):
        self.s3.delete_object(Bucket=bucket, Key=key)

    def copy(self, bucket, source, target):
        self.s3.copy_object(Bucket=bucket, Key=target, CopySource={"Bucket": bucket, "Key": source})

    def list(self, bucket, prefix, delimited):
        keys, prefixes = [], []
        delimiter = {"Delimiter": "/"} if delimited else {}
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, **delimiter):
            keys += [found["Key"] for found in page.get("Contents", [])]
            prefixes += [found["Prefix"] for found in page.get("CommonPrefixes", [])]
        return keys, prefixes

    def stream(self, bucket, key, path):
        with open(path, "rb") as file:
            self.s3.put_object(Bucket=bucket, Key=key, Body=file)

    def upload(self, bucket, key, path):
        self.s3.upload_file(path, bucket, key, Config=TransferConfig(multipart_threshold=PART, multipart_chunksize=PART))

    def download(self, bucket, key, path):
        self.s3.download_file(bucket, key, path, Config=TransferConfig(multipart_threshold=PART, multipart_chunksize=PART))

    def presign(self, bucket, key, method):
        operation = {"GET": "get_object", "PUT": "put_object"}[method]
        return self.s3.generate_presigned_url(operation, Params={"Bucket": bucket, "Key": key}, ExpiresIn=600)


class Told(Client):
    """A program that reads what to do, a JSON object a line, and answers with one."""

    def __init__(self, access):
        super().__init__(access)
        self.process = subprocess.Popen(self.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=self.environment(), preexec_fn=end_with_parent)

    def command(self):
        raise NotImplementedError

    def environment(self):
        # By these names Node and rustls' platform verifier take one more root, or theirs alone.
        certificate = self.access.certificate
        certificate = {"NODE_EXTRA_CA_CERTS": certificate, "SSL_CERT_FILE": certificate} if certificate else {}
        return {**os.environ, "NODE_NO_WARNINGS": "1", **certificate}

    def say(self, what):
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()

    def hear(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"{self.name} ended: {self.process.wait()}")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=60)


class Library(Told):
    """A library, around which such a program was written."""

    def __init__(self, access):
        super().__init__(access)
        self.say({"client": self.name, "endpoint": access.url, "region": access.region, "access_key": access.key,
                  "secret_key": access.secret, "token": access.token, "checksums": access.checksums})

    def ask(self, op, **what):
        self.say({"op": op, **what})
        answer = self.hear()
        if "error" in answer:
            raise Failed(answer["error"])
        return answer["value"]

    def put(self, bucket, key, body):
        self.ask("put", bucket=bucket, key=key, body=body)

    def get(self, bucket, key):
        return self.ask("get", bucket=bucket, key=key)

    def head(self, bucket, key):
        return self.ask("head", bucket=bucket, key=key)

    def delete(self, bucket, key):
        self.ask("delete", bucket=bucket, key=key)

    def copy(self, bucket, source, target):
        self.ask("copy", **{"bucket": bucket, "from": source, "to": target})

    def list(self, bucket, prefix, delimited):
        found = self.ask("list", bucket=bucket, prefix=prefix, delimited=delimited)
        return found["keys"], found["prefixes"]

    def stream(self, bucket, key, path):
        self.ask("stream", bucket=bucket, key=key, path=path)

    def upload(self, bucket, key, path):
        self.ask("upload", bucket=bucket, key=key, path=path)

    def download(self, bucket, key, path):
        self.ask("download", bucket=bucket, key=key, path=path)

    def presign(self, bucket, key, method):
        return self.ask("presign", bucket=bucket, key=key, method=method)


class Rust(Library):
    def command(self):
        return [os.environ["E2E_RUST_CLIENTS"]]


class AwsSdkRust(Rust):
    name = "aws-sdk-s3"


class ObjectStore(Rust):
    name = "object_store"
    changes = {
        "double slash": "object_store refuses empty segments",
        "leading slash": "object_store drops it",
        "trailing slash": "object_store drops it",
        "dot": "object_store refuses dot segments",
        "dots": "object_store refuses dot segments",
    }

    def stream(self, bucket, key, path):
        raise NotApplicable("object_store takes bytes in memory, or parts")


class OpenDal(Rust):
    name = "opendal"
    changes = {
        "blank at the end": "OpenDAL drops it",
        "double slash": "OpenDAL makes one slash of it",
        "leading slash": "OpenDAL drops it",
        "trailing slash": "to OpenDAL it is a folder",
    }

    def stream(self, bucket, key, path):
        raise NotApplicable("OpenDAL takes bytes in memory, or parts")


class AwsSdkJs(Library):
    name = "aws-sdk-js"

    @classmethod
    def missing(cls):
        there = shutil.which("node") and os.path.isdir(os.path.join(CACHE, "node", "node_modules"))
        return None if there else f"{cls.name} needs Node.js 20 or later and npm"

    def command(self):
        return ["node", os.path.join(CACHE, "node", "s3_client.mjs")]


class AwsCli(Told):
    name = "aws-cli"
    presigns = ("GET",)
    no_presign = "`aws s3 presign` signs GET alone"

    def command(self):
        return [sys.executable, os.path.join(HERE, "aws_cli.py")]

    def environment(self):
        access = self.access
        when = "when_supported" if access.checksums else "when_required"
        # Version 1 signs URLs with SigV2 unless told.
        config = os.path.join(access.folder, f"aws-config-{id(self)}")
        with open(config, "w", encoding="ascii") as file:
            file.write("[default]\ns3 =\n  signature_version = s3v4\n")
        found = {
            **os.environ,
            "AWS_CONFIG_FILE": config,
            "AWS_ENDPOINT_URL": access.url,
            "AWS_REGION": access.region,
            "AWS_DEFAULT_REGION": access.region,
            "AWS_ACCESS_KEY_ID": access.key,
            "AWS_SECRET_ACCESS_KEY": access.secret,
            "AWS_REQUEST_CHECKSUM_CALCULATION": when,
            "AWS_RESPONSE_CHECKSUM_VALIDATION": when,
            "AWS_MAX_ATTEMPTS": "1",
        }
        if access.token:
            found["AWS_SESSION_TOKEN"] = access.token
        if access.certificate:
            found["AWS_CA_BUNDLE"] = access.certificate
        return found

    def aws(self, *arguments):
        self.say(arguments)
        answer = self.hear()
        if answer["code"]:
            raise Failed(f"aws {' '.join(arguments)}: {answer['code']} {answer['err']}")
        return answer["out"]

    def file(self, text=None):
        path = os.path.join(self.access.folder, f"{self.name}-{os.getpid()}-{id(self)}")
        if text is not None:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        return path

    def put(self, bucket, key, body):
        self.aws("s3api", "put-object", "--bucket", bucket, "--key", key, "--body", self.file(body))

    def get(self, bucket, key):
        self.aws("s3api", "get-object", "--bucket", bucket, "--key", key, self.file())
        with open(self.file(), encoding="utf-8") as file:
            return file.read()

    def head(self, bucket, key):
        return json.loads(self.aws("s3api", "head-object", "--bucket", bucket, "--key", key))["ContentLength"]

    def delete(self, bucket, key):
        self.aws("s3api", "delete-object", "--bucket", bucket, "--key", key)

    def copy(self, bucket, source, target):
        # It encodes the source itself.
        self.aws("s3api", "copy-object", "--bucket", bucket, "--key", target, "--copy-source", f"{bucket}/{source}")

    def list(self, bucket, prefix, delimited):
        delimiter = ["--delimiter", "/"] if delimited else []
        text = self.aws("s3api", "list-objects-v2", "--bucket", bucket, "--prefix", prefix, *delimiter)
        found = json.loads(text or "{}")
        return ([one["Key"] for one in found.get("Contents") or []],
                [one["Prefix"] for one in found.get("CommonPrefixes") or []])

    def upload(self, bucket, key, path):
        self.aws("s3", "cp", "--quiet", path, f"s3://{bucket}/{key}")

    def download(self, bucket, key, path):
        self.aws("s3", "cp", "--quiet", f"s3://{bucket}/{key}", path)

    def presign(self, bucket, key, method):
        return self.aws("s3", "presign", f"s3://{bucket}/{key}", "--expires-in", "600").strip()


class Command(Client):
    """A program that is run once for each operation."""

    @classmethod
    def missing(cls):
        return None if shutil.which(cls.name) else f"{cls.name} is not installed"

    def run(self, *arguments, data=None, env=None):
        done = subprocess.run([self.name, *arguments], input=data, capture_output=True, check=False, timeout=300,
                              env={**os.environ, **(env or {})}, preexec_fn=end_with_parent,
                              **({} if data is not None else {"stdin": subprocess.DEVNULL}))
        if done.returncode:
            said = (done.stderr + done.stdout).decode(errors="replace")
            raise Failed(f"{self.name}: {done.returncode} {said[-2000:]}")
        return done.stdout

    def file(self, text=None):
        path = os.path.join(self.access.folder, f"{self.name}-{id(self)}")
        if text is not None:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        return path


class Rclone(Command):
    name = "rclone"
    switch = False
    no_switch = "rclone has none (--s3-disable-checksum is about metadata)"
    changes = {
        "double slash": "rclone makes one slash of it",
        "leading slash": "rclone drops it",
        "trailing slash": "to rclone it is a folder",
        "dot": "rclone folds it",
        "dots": "rclone folds them",
    }

    def rclone(self, *arguments, presigned=False, **more):
        access = self.access
        env = {
            "RCLONE_CONFIG": "",
            "RCLONE_S3_PROVIDER": "Other",
            "RCLONE_S3_ENDPOINT": access.url,
            "RCLONE_S3_REGION": access.region,
            "RCLONE_S3_ACCESS_KEY_ID": access.key,
            "RCLONE_S3_SECRET_ACCESS_KEY": access.secret,
            "RCLONE_S3_NO_CHECK_BUCKET": "true",
            "RCLONE_S3_UPLOAD_CUTOFF": "5M",
            "RCLONE_S3_USE_PRESIGNED_REQUEST": str(presigned).lower(),
            "RCLONE_RETRIES": "1",
            "RCLONE_LOW_LEVEL_RETRIES": "1",
        }
        if access.token:
            env["RCLONE_S3_SESSION_TOKEN"] = access.token
        if access.certificate:
            env["RCLONE_CA_CERT"] = access.certificate
        return self.run(*arguments, env=env, **more)

    def put(self, bucket, key, body):
        self.rclone("copyto", self.file(body), f":s3:{bucket}/{key}")

    def put_presigned(self, bucket, key, body):
        """rclone signs a URL for itself, and uploads by that."""
        self.rclone("copyto", self.file(body), f":s3:{bucket}/{key}", presigned=True)

    def get(self, bucket, key):
        return self.rclone("cat", f":s3:{bucket}/{key}").decode()

    def head(self, bucket, key):
        return json.loads(self.rclone("lsjson", "--stat", f":s3:{bucket}/{key}"))["Size"]

    def delete(self, bucket, key):
        self.rclone("deletefile", f":s3:{bucket}/{key}")

    def copy(self, bucket, source, target):
        self.rclone("copyto", f":s3:{bucket}/{source}", f":s3:{bucket}/{target}")

    def list(self, bucket, prefix, delimited):
        # It lists folders, and so no other prefixes.
        depth = ["--max-depth", "1"] if delimited else ["--recursive", "--files-only"]
        names = self.rclone("lsf", *depth, f":s3:{bucket}/{prefix}").decode().splitlines()
        found = [prefix + name for name in names]
        return ([name for name in found if not name.endswith("/")], [name for name in found if name.endswith("/")])

    def upload(self, bucket, key, path):
        self.rclone("copyto", path, f":s3:{bucket}/{key}")

    def download(self, bucket, key, path):
        self.rclone("copyto", f":s3:{bucket}/{key}", path)

    def presign(self, bucket, key, method):
        return self.rclone("link", "--expire", "10m", f":s3:{bucket}/{key}").decode().strip()


class S3cmd(Command):
    name = "s3cmd"
    switch = False
    no_switch = "s3cmd has none"
    changes = {"trailing slash": "s3cmd puts the name of the file behind it"}
    presigns = ()
    no_presign = "`s3cmd signurl` signs with SigV2"

    def s3cmd(self, *arguments):
        access = self.access
        host = urllib.parse.urlsplit(access.url).netloc
        options = ["--config", os.devnull, f"--host={host}", f"--host-bucket={host}", f"--region={access.region}",
                   f"--access_key={access.key}", f"--secret_key={access.secret}", "--no-progress",
                   "--multipart-chunk-size-mb=5"]
        options += [f"--access_token={access.token}"] if access.token else []
        options += [f"--ca-certs={access.certificate}"] if access.certificate else ["--no-ssl"]
        return self.run(*options, *arguments).decode()

    def put(self, bucket, key, body):
        self.s3cmd("put", self.file(body), f"s3://{bucket}/{key}")

    def get(self, bucket, key):
        self.s3cmd("get", "--force", f"s3://{bucket}/{key}", self.file())
        with open(self.file(), encoding="utf-8") as file:
            return file.read()

    def head(self, bucket, key):
        said = self.s3cmd("info", f"s3://{bucket}/{key}")
        return next(int(line.split()[-1]) for line in said.splitlines() if "File size" in line)

    def delete(self, bucket, key):
        self.s3cmd("del", f"s3://{bucket}/{key}")

    def copy(self, bucket, source, target):
        self.s3cmd("cp", f"s3://{bucket}/{source}", f"s3://{bucket}/{target}")

    def list(self, bucket, prefix, delimited):
        said = self.s3cmd("ls", *([] if delimited else ["--recursive"]), f"s3://{bucket}/{prefix}")
        lines = [line.split(f"s3://{bucket}/", 1) for line in said.splitlines()]
        return ([line[1] for line in lines if "DIR" not in line[0]], [line[1] for line in lines if "DIR" in line[0]])

    def version_2_url(self, bucket, key):
        return self.s3cmd("signurl", f"s3://{bucket}/{key}", "+600").strip()

    def upload(self, bucket, key, path):
        self.s3cmd("put", path, f"s3://{bucket}/{key}")

    def download(self, bucket, key, path):
        self.s3cmd("get", "--force", f"s3://{bucket}/{key}", path)


class Curl(Command):
    """With a hash of the body, which its user computes, or without one."""

    name = "curl"
    presigns = ()
    no_presign = "`curl --aws-sigv4` signs headers alone"
    remarks = {"20 MiB in parts: curl sends them in one PUT"}

    def curl(self, method, path, *more, data=b"", file=None, query="", target=None):
        access = self.access
        if not access.checksums:
            hashed = "UNSIGNED-PAYLOAD"
        elif file:
            with open(file, "rb") as opened:
                hashed = hashlib.file_digest(opened, "sha256").hexdigest()
        else:
            hashed = hashlib.sha256(data).hexdigest()
        out = target or self.file()
        arguments = ["--silent", "--show-error", "--path-as-is", "--aws-sigv4", f"aws:amz:{access.region}:s3",
                     "--user", f"{access.key}:{access.secret}", "-H", f"x-amz-content-sha256: {hashed}",
                     "--output", out, "--write-out", "%{http_code}"]
        arguments += ["-H", f"x-amz-security-token: {access.token}"] if access.token else []
        arguments += ["--cacert", access.certificate] if access.certificate else []
        arguments += ["--head"] if method == "HEAD" else ["-X", method]
        if method == "PUT" and not more:
            arguments += ["-H", "Content-Type: application/octet-stream", "--data-binary", f"@{file or '-'}"]
        url = access.url + urllib.parse.quote(path, safe="/~-._") + query
        with open(out, "wb"):
            pass
        status = self.run(*arguments, *more, url, data=data)
        if not status.startswith(b"2"):
            with open(out, encoding="utf-8", errors="replace") as said:
                raise Failed(f"curl {method} {url}: {status.decode()} {said.read()}")
        with open(out, "rb") as answer:
            return b"" if target else answer.read()

    def put(self, bucket, key, body):
        self.curl("PUT", f"/{bucket}/{key}", data=body.encode())

    def get(self, bucket, key):
        return self.curl("GET", f"/{bucket}/{key}").decode()

    def head(self, bucket, key):
        lines = self.curl("HEAD", f"/{bucket}/{key}").decode().lower().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("content-length:"))

    def delete(self, bucket, key):
        self.curl("DELETE", f"/{bucket}/{key}")

    def copy(self, bucket, source, target):
        source = urllib.parse.quote(f"/{bucket}/{source}")
        self.curl("PUT", f"/{bucket}/{target}", "-H", f"x-amz-copy-source: {source}")

    def list(self, bucket, prefix, delimited):
        keys, prefixes, token = [], [], ""
        while token is not None:
            # curl signs a query as it stands, so it stands in the order in which it has to be signed.
            query = f"?continuation-token={urllib.parse.quote(token, safe='')}&" if token else "?"
            query += "delimiter=%2F&" if delimited else ""
            query += f"list-type=2&prefix={urllib.parse.quote(prefix, safe='')}"
            page = xml.etree.ElementTree.fromstring(self.curl("GET", f"/{bucket}", query=query))
            for found in page.iter():
                found.tag = found.tag.split("}")[-1]
            keys += [found.findtext("Key") for found in page.findall("Contents")]
            prefixes += [found.findtext("Prefix") for found in page.findall("CommonPrefixes")]
            token = page.findtext("NextContinuationToken") if page.findtext("IsTruncated") == "true" else None
        return keys, prefixes

    def upload(self, bucket, key, path):
        self.curl("PUT", f"/{bucket}/{key}", file=path)

    def download(self, bucket, key, path):
        self.curl("GET", f"/{bucket}/{key}", target=path)


class Restic(Command):
    """No client by itself, but whoever sends chunks of which each is signed: minio-go, over plain HTTP."""

    name = "restic"
    # It asks first whether something is there, by HEAD, where a refusal has no code.
    wrong_secret = no_token = "Access Denied"
    switch = False
    no_switch = "restic has none"
    presigns = ()
    no_presign = "restic has no use for URLs"

    def restic(self, bucket, *arguments):
        access = self.access
        env = {"AWS_ACCESS_KEY_ID": access.key, "AWS_SECRET_ACCESS_KEY": access.secret,
               "AWS_DEFAULT_REGION": access.region, "RESTIC_REPOSITORY": f"s3:{access.url}/{bucket}",
               "RESTIC_PASSWORD": "for this run"}
        env |= {"AWS_SESSION_TOKEN": access.token} if access.token else {}
        more = ["--cacert", access.certificate] if access.certificate else []
        return self.run(*more, "--no-cache", *arguments, env=env).decode()

    def list(self, bucket, prefix, delimited):
        return self.restic(bucket, "snapshots").splitlines(), []

    def exercise(self, bucket, path):
        """A repository, a backup of the file, a look at every byte of it, and the file back."""
        self.restic(bucket, "init")
        self.restic(bucket, "backup", path)
        self.restic(bucket, "check", "--read-data")
        back = os.path.join(self.access.folder, "restored")
        self.restic(bucket, "restore", "latest", "--target", back)
        return back + path


ALL = [Boto3, AwsCli, AwsSdkRust, AwsSdkJs, ObjectStore, OpenDal, Rclone, S3cmd, Curl, Restic]
