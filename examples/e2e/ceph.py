"""Ceph as the other side: its STS takes our assertions, its S3 verifies what the gateway signs with what it got."""

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tempfile
import urllib.parse

import boto3
from boto3.s3.transfer import TransferConfig

import cluster
from harness import Checks, Gateway, equal, free_port, http, program, refused, tool
from inbound import SESSION, WRITER, Inbound, replace
from web_identity import (AUDIENCE, Identity, Load, Provider, SigningKey, bad_tokens, certificate, good_token, keywords,
                          s3_client, sts_client, within)

MIB = 1 << 20
ROLE = "arn:aws:iam:::role/{}"
ODD_KEYS = ["a folder/with blank", "plus+and&=?#", "percent%25%2F", "grüße/日本語", "~tilde'(quote)!*",
            "semi;colon@:,$"]
ALL_OF_S3 = {"Version": "2012-10-17",
             "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::*"}]}

checks = Checks()


class Ceph(cluster.Cluster):
    """The cluster, with an administrator of its identities."""

    def __init__(self):
        super().__init__()
        self.admin_key = ("AKIA" + os.urandom(8).hex().upper(), os.urandom(20).hex())
        try:
            self.user("administrator", self.admin_key, "roles=*", "oidc-provider=*", "user-policy=*")
        except BaseException:
            self.stop()
            raise
        self.iam = boto3.client("iam", endpoint_url=self.url, region_name="us-east-1", **keywords(self.admin_key))
        self.sts = sts_client(self.url)

    def trust_provider(self, url, *keys):
        """Registers an OpenID provider by the certificates of its keys. Ceph 16 can add none later."""
        self.iam.create_open_id_connect_provider(Url=url, ClientIDList=[AUDIENCE],
                                                 ThumbprintList=[key.thumbprint for key in keys])

    def role(self, name, trust):
        """A role that may do everything with S3. Ceph reads policies without blanks alone."""
        statement = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **trust}]}
        self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=compact(statement), Path="/")
        self.iam.put_role_policy(RoleName=name, PolicyName="s3", PolicyDocument=compact(ALL_OF_S3))
        return ROLE.format(name)

    def web_role(self, name, url, audience=AUDIENCE):
        """A role for the tokens of a provider that are meant for this audience."""
        host = url.removeprefix("http://")
        return self.role(name, {
            "Principal": {"Federated": [f"arn:aws:iam:::oidc-provider/{host}"]},
            "Action": ["sts:AssumeRoleWithWebIdentity"],
            "Condition": {"StringEquals": {f"{host}:app_id": audience}},
        })

    def exchanges(self):
        """How often its STS has been asked for a web identity."""
        return self.settled().count("sts:assume_role_web_identity verifying requester")

    def settled(self):
        """radosgw's log, once all that was answered before is in it."""
        mark = f"/mark-{os.urandom(6).hex()}"
        http("GET", self.url + mark)
        within(10, "radosgw writes its log", lambda: f'"GET {mark} ' in self.log("rgw"))
        return self.log("rgw")

    def served(self, bucket):
        """Of all requests for a bucket: {request: its session token}, and [(user, method, status, agent)]."""
        log = self.settled()
        requests = re.findall(rf" req (\d+) \S+ s->object=.* s->bucket={bucket}$", log, re.MULTILINE)
        tokens = dict(re.findall(r" req (\d+) \S+ x>> x-amz-security-token:(\S+)$", log, re.MULTILINE))
        lines = re.findall(rf' - (\S+) \[[^]]*\] "(\w+) /{bucket}[/? ]\S* ?HTTP/1.1" (\d+) \S+ \S+ "([^"]*)"', log)
        return {request: tokens.get(request) for request in requests}, lines


def compact(value):
    return json.dumps(value, separators=(",", ":"))


# --- the stand: Ceph by itself ---------------------------------------------------------------------------------------


def ceph_alone(ceph, provider, first):
    """Nothing of ours in play: what fails here is not our doing."""
    access, secret = ceph.admin_key

    def by_key():
        s3 = s3_client(ceph.url, ceph.admin_key)
        s3.create_bucket(Bucket="stand")
        s3.put_object(Bucket="stand", Key="a", Body=b"a")
        equal(s3.get_object(Bucket="stand", Key="a")["Body"].read(), b"a")
        # With its STS on, Ceph says AccessDenied for the wrong signature of a long-lived key.
        refused("AccessDenied", s3_client(ceph.url, (access, secret[:-1] + "_")).list_buckets)

    def by_role():
        role = ceph.role("by-key", {"Principal": {"AWS": ["arn:aws:iam:::user/administrator"]},
                                    "Action": ["sts:AssumeRole"]})
        sts = sts_client(ceph.url, ceph.admin_key)
        credentials = sts.assume_role(RoleArn=role, RoleSessionName="e2e")["Credentials"]
        equal(s3_client(ceph.url, credentials).get_object(Bucket="stand", Key="a")["Body"].read(), b"a")
        broken = {**credentials, "SessionToken": credentials["SessionToken"][:-8] + "AAAAAAA="}
        refused("AccessDenied", s3_client(ceph.url, broken).get_object, Bucket="stand", Key="a")

    checks.run("Ceph alone: S3 by a key", by_key)
    checks.run("Ceph alone: AssumeRole", by_role)
    ceph.trust_provider(provider.url, first)
    identity = Identity(ceph.url, ceph.web_role("by-provider", provider.url), provider.token())

    def by_web_identity():
        s3 = identity.boto3().client("s3", endpoint_url=ceph.url)
        s3.create_bucket(Bucket="by-provider")
        s3.put_object(Bucket="by-provider", Key="a", Body=b"a")
        equal("by-provider" in identity.aws("s3", "ls"), True)

    checks.run("Ceph alone: boto3 and the AWS CLI with a token of panva's provider", by_web_identity)
    identity.sdk(checks, " at Ceph alone", "by-provider", "js/")


# --- our issuer at Ceph ----------------------------------------------------------------------------------------------


class Stand:
    """A gateway in front of Ceph: an issuer of its own outwards, an STS of its own inwards."""

    def __init__(self, folder, ceph, provider, first, second):
        self.ceph, self.folder = ceph, folder
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.state = os.path.join(folder, "issuer.json")
        tool("issuer", "new", self.state, "--key", first.path, "--cert", first.certificate)
        # Both certificates at once: the second is known to Ceph before its key signs anything.
        ceph.trust_provider(self.issuer, first, second)
        self.role = ceph.web_role("by-gateway", self.issuer)
        self.provider = provider
        inbound = Inbound(folder, provider.url)
        self.key, self.files = inbound.key, inbound.arguments
        self.gateway = self.another(port=self.port, env={"RUST_LOG": "trace"})
        self.url = self.gateway.url
        self.s3 = s3_client(self.url, self.key)

    def another(self, sts=None, role=None, port=0, env=None):
        """A gateway of the same state; also one more beside the first, as a replica would be."""
        return Gateway("--upstream", self.ceph.url, "--upstream-sts", sts or self.ceph.url, "--role-arn",
                       role or self.role, "--upstream-audience", AUDIENCE, "--upstream-session-seconds", "900",
                       "--issuer", self.issuer, "--issuer-state", self.state, *self.files, port=port, env=env)


def issuer(stand, first):
    def shown():
        said = tool("issuer", "show", stand.state)
        equal(first.thumbprint.lower() in said.lower().replace(":", ""), True)

    def served():
        document = json.loads(http("GET", stand.issuer + "/.well-known/openid-configuration")[1])
        equal(document["issuer"], stand.issuer)
        keys = json.loads(http("GET", document["jwks_uri"])[1])["keys"]
        equal([sorted({"kty", "kid", "x5c", "n", "e"} - key.keys()) for key in keys], [[]])
        equal([name for name in ("d", "p", "q", "dp", "dq", "qi") if name in keys[0]], [])
        der = hashlib.sha1(subprocess.run(["base64", "-d"], input=keys[0]["x5c"][0].encode(), capture_output=True,
                                          check=True).stdout, usedforsecurity=False)
        equal(der.hexdigest().upper(), first.thumbprint)
        equal(http("POST", document["jwks_uri"], b"")[0] in (403, 405), True)

    checks.run("issuer: show tells the thumbprint", shown)
    checks.run("issuer: discovery and JWKS, with the certificate and without a private part", served)


def boto3_through(stand):
    s3 = stand.s3

    def basics():
        s3.create_bucket(Bucket="reports")
        s3.put_object(Bucket="reports", Key="svc/plain", Body=b"hello", Metadata={"color": "blue  sky"})
        got = s3.get_object(Bucket="reports", Key="svc/plain")
        equal((got["Body"].read(), got["Metadata"]), (b"hello", {"color": "blue  sky"}))
        equal(s3.get_object(Bucket="reports", Key="svc/plain", Range="bytes=1-3")["Body"].read(), b"ell")
        refused("NoSuchKey", s3.get_object, Bucket="reports", Key="missing")
        s3.copy_object(Bucket="reports", Key="other/copied", CopySource={"Bucket": "reports", "Key": "svc/plain"})
        deleted = s3.delete_objects(Bucket="reports", Delete={"Objects": [{"Key": "other/copied"}]})
        equal([found["Key"] for found in deleted["Deleted"]], ["other/copied"])

    def owner():
        """Ceph itself says whose bucket it is: the subject of our assertion."""
        stats = json.loads(stand.ceph.admin("bucket", "stats", "--bucket", "reports"))
        equal(stats["owner"].endswith("$gateway"), True)
        return stats["owner"]

    def odd_keys():
        for key in ODD_KEYS:
            s3.put_object(Bucket="reports", Key=f"odd/{key}", Body=key.encode())
            equal(s3.get_object(Bucket="reports", Key=f"odd/{key}")["Body"].read(), key.encode())
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket="reports", Prefix="odd/",
                                                             PaginationConfig={"PageSize": 2})
        equal(sorted(found["Key"] for page in pages for found in page["Contents"]),
              sorted(f"odd/{key}" for key in ODD_KEYS))

    def parts():
        body = os.urandom(20 * MIB)
        config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
        s3.upload_fileobj(io.BytesIO(body), "reports", "svc/parts", Config=config)
        got = io.BytesIO()
        s3.download_fileobj("reports", "svc/parts", got, Config=config)
        equal(got.getvalue() == body, True)

    def presigned():
        place = {"Bucket": "reports", "Key": "svc/presigned of/ünd odd+&?"}
        put, get = (s3.generate_presigned_url(name, Params=place) for name in ("put_object", "get_object"))
        equal(http("PUT", put, b"by its URL alone")[0], 200)
        equal(http("GET", get), (200, b"by its URL alone"))

    checks.run("boto3: put, get, range, missing, copy, delete in batch", basics)
    checks.run("Ceph: the bucket belongs to the subject of our assertion", owner)
    checks.run("boto3: odd keys, pages", odd_keys)
    checks.run("boto3: 20 MiB in parts", parts)
    checks.run("boto3: presigned at the gateway", presigned)


def whole_loop(stand):
    """A stranger's token in, our session; our assertion out, Ceph's session."""
    identity = Identity(stand.url, WRITER, stand.provider.token(), session="loop")

    def by_boto3():
        s3 = identity.boto3().client("s3", endpoint_url=stand.url)
        s3.put_object(Bucket="reports", Key="svc/loop", Body=b"both ways")
        equal(s3.get_object(Bucket="reports", Key="svc/loop")["Body"].read(), b"both ways")
        refused("AccessDenied", s3.get_object, Bucket="reports", Key="odd/a folder/with blank")

    def by_cli():
        with open(os.path.join(identity.folder, "file"), "wb") as file:
            file.write(os.urandom(9 * MIB))
        identity.aws("s3", "cp", "file", "s3://reports/svc/cli/one two")
        identity.aws("s3", "cp", "s3://reports/svc/cli/one two", "back")
        with open(os.path.join(identity.folder, "file"), "rb") as one, \
             open(os.path.join(identity.folder, "back"), "rb") as other:
            equal(one.read() == other.read(), True)
        equal("one two" in identity.aws("s3", "ls", "s3://reports/svc/cli/"), True)
        identity.aws("s3", "rm", "s3://reports/svc/cli", "--recursive")
        equal(json.loads(identity.aws("sts", "get-caller-identity"))["Arn"], f"{SESSION}/writer/loop")

    checks.run("whole loop: boto3", by_boto3)
    checks.run("whole loop: AWS CLI", by_cli)
    identity.sdk(checks, " in the whole loop", "reports", "svc/js/", "odd/", f"{SESSION}/writer/loop")


def exchanges(stand):
    def cached():
        before = stand.ceph.exchanges()
        for _ in range(50):
            stand.s3.head_object(Bucket="reports", Key="svc/plain")
        equal(stand.ceph.exchanges(), before)

    def unauthorised():
        """A gateway that has no credential yet asks for none on behalf of somebody who may do nothing."""
        before = stand.ceph.exchanges()
        with stand.another() as gateway:
            started = stand.ceph.exchanges() - before
            wrong = s3_client(gateway.url, ("owner", "x" * 40))
            refused("SignatureDoesNotMatch", wrong.get_object, Bucket="reports", Key="svc/plain")
            refused("InvalidAccessKeyId", s3_client(gateway.url, ("nobody", "x" * 40)).list_buckets)
            equal(http("GET", gateway.url + "/reports/svc/plain")[0], 403)
            equal(stand.ceph.exchanges() - before, started)
            s3_client(gateway.url, stand.key).head_object(Bucket="reports", Key="svc/plain")
            equal(stand.ceph.exchanges() - before, 1)
            return f"{started} at its start"

    def untrusted():
        """A role that does not trust us: the operator learns of it after ten seconds of trying, and reads no assertion in it."""
        role = stand.ceph.web_role("for-others", stand.issuer, audience="urn:others")
        for arn in (role, ROLE.format("nowhere")):
            try:
                with stand.another(role=arn):
                    raise AssertionError("it serves without a credential")
            except RuntimeError as error:
                said = str(error)
            equal([word in said for word in ("ended (1)", "does the role trust --issuer", "AccessDenied", "eyJ")],
                  [True, True, True, False])

    def unreachable():
        """An STS that does not answer may do so later: the gateway starts, and its callers are told to come again."""
        with stand.another(sts=f"http://127.0.0.1:{free_port()}") as gateway:
            s3 = s3_client(gateway.url, stand.key)
            try:
                s3.get_object(Bucket="reports", Key="svc/plain")
            except s3.exceptions.ClientError as error:
                equal(error.response["ResponseMetadata"]["HTTPStatusCode"], 503)
                equal("eyJ" in str(error), False)
            else:
                raise AssertionError("served without a credential")
            refused("SignatureDoesNotMatch", s3_client(gateway.url, ("owner", "x" * 40)).list_buckets)
            equal(["no credential for the upstream yet" in gateway.log(), "eyJ" in gateway.log()], [True, False])

    checks.run("exchanges: one credential serves many requests", cached)
    checks.run("exchanges: a caller without rights causes none", unauthorised)
    checks.run("exchanges: refused by Ceph's trust", untrusted)
    checks.run("exchanges: Ceph's STS does not answer", unreachable)


def object_store(stand):
    chained = stand.ceph.role("by-a-role", {"Principal": {"AWS": ["arn:aws:iam:::role/by-gateway"]},
                                            "Action": ["sts:AssumeRole"]})

    def ended_well(*more):
        done = subprocess.run(
            [program("object_store_sts"), "--endpoint", stand.ceph.url, "--sts", stand.ceph.url, "--role-arn",
             stand.role, "--issuer", stand.issuer, "--issuer-state", stand.state, "--audience", AUDIENCE, "--bucket",
             "reports", "--region", "us-east-1", *more],
            capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, check=False)
        count = re.search(r"^(\d+) passed, 0 failed$", done.stdout, re.MULTILINE)
        if done.returncode or not count or count[1] == "0":
            raise AssertionError(f"{done.returncode} {done.stdout[-1500:]} {done.stderr[-1500:]}")
        return count[0]

    def assumed():
        before = stand.ceph.settled().count("sts:assume_role verifying requester")
        note = ended_well("--chain-role-arn", chained)
        equal(stand.ceph.settled().count("sts:assume_role verifying requester"), before + 1)
        return note

    checks.run("object_store with our provider, straight to Ceph", ended_well)
    checks.run("object_store with AssumeRole at Ceph after that", assumed)


# --- rotation --------------------------------------------------------------------------------------------------------


def rotation(stand, first, second):
    def keys():
        return [key["x5c"][0] for key in json.loads(http("GET", stand.issuer + "/.well-known/jwks.json")[1])["keys"]]

    def unreadable():
        """A file that is no state changes nothing; the operator learns of it."""
        with open(stand.state, encoding="ascii") as file:
            text = file.read()
        before, said = keys(), "the issuer's new state is refused, the last good one stays"
        replace(stand.state, text[:len(text) // 2])
        try:
            within(10, "the log tells", lambda: said in stand.gateway.log())
            equal(keys(), before)
        finally:
            replace(stand.state, text)

    def rotated():
        """Replicas come up all the while, each with an exchange of its own: before, over and after the change."""
        old, new = (certificate(key) for key in (first, second))
        equal(keys(), [old])

        def serve():
            with stand.another() as gateway:
                s3_client(gateway.url, stand.key).get_object(Bucket="reports", Key="svc/plain")["Body"].read()

        calls = {
            "gets": lambda: stand.s3.get_object(Bucket="reports", Key="svc/plain")["Body"].read(),
            "puts": lambda: stand.s3.put_object(Bucket="reports", Key="svc/load", Body=b"x"),
            "replicas": serve,
        }
        with Load(**calls) as load:
            within(30, "a replica before", lambda: load.counts["replicas"] >= 2)
            tool("issuer", "rotate", stand.state, "--activate-in", "10s", "--key", second.path, "--cert",
                 second.certificate)
            published = within(30, "the next key is published", lambda: sorted(keys()) == sorted([old, new]))
            # Ceph 16 tries the first key of the set alone, so the one that signs has to come first.
            equal(keys()[0], old)
            signing = within(30, "the next key signs", lambda: keys()[0] == new)
            reached = load.counts["replicas"] + 3
            within(30, "replicas after", lambda: load.counts["replicas"] >= reached)
        note = load.finish()
        return f"{note}; published after {published:.1f} s, first after {signing:.1f} s more"

    def still():
        """The gateway that was there before, on a credential it got with the old key."""
        stand.s3.put_object(Bucket="reports", Key="svc/after", Body=b"after")
        equal(stand.s3.get_object(Bucket="reports", Key="svc/after")["Body"].read(), b"after")

    checks.run("issuer: a file that is none", unreadable)
    checks.run("issuer: its key rotated while requests run", rotated)
    checks.run("issuer: what was served before is served after", still)


# --- what Ceph refuses -----------------------------------------------------------------------------------------------


def refusals(stand, key, previous, stranger):
    """Assertions of our issuer's that are wrong in one thing, at Ceph's STS. `key` is the one that signs now."""
    tokens = bad_tokens(stand.issuer, key, "any", stranger, subject="gateway")
    # Published still, and its certificate registered; but Ceph 16 tries the first key alone.
    tokens["the key that signed before"] = good_token(stand.issuer, previous, "any", subject="gateway")
    # What Ceph 16 lets pass: it asks for no `exp` at all, and an audience of several needs one that it knows.
    lax = {"no exp": tokens.pop("no exp"), "one aud of two is wrong": tokens.pop("one aud of two is wrong")}

    def answer(token):
        form = {"Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15", "RoleArn": stand.role,
                "RoleSessionName": "e2e", "WebIdentityToken": token}
        status, body = patiently(lambda: http("POST", stand.ceph.url + "/", urllib.parse.urlencode(form).encode(),
                                              {"content-type": "application/x-www-form-urlencoded"}, timeout=10))
        code = re.search(rb"<Code>(\w+)</Code>", body)
        return status, code and code[1].decode()

    checks.run("at Ceph: an assertion minted to order is accepted", lambda: equal(answer(tokens["good"]), (200, None)))
    del tokens["good"]
    for what, token in tokens.items():
        checks.run(f"at Ceph: refused: {what}", lambda token=token: equal(answer(token), (403, "AccessDenied")))
    for what, token in lax.items():
        print(f"note    at Ceph: {what}: {answer(token)}")


def patiently(ask):
    """What Ceph answers. One in some thousand times radosgw 16 fetches the discovery document, is answered at once, and
    sleeps on: it asks for no keys and never answers. Its own other requests are served meanwhile."""
    for _ in range(2):
        try:
            return ask()
        except TimeoutError:
            print("note    radosgw sleeps over a discovery document it was given; asked again", flush=True)
    return ask()


def temporary_credentials(stand):
    """Ceph's own log of all that was done with the bucket: never without a session token, by nobody else."""
    tokens, lines = stand.ceph.served("reports")
    equal(len(lines), len(tokens))
    equal([request for request, token in tokens.items() if not token], [])
    equal({user for user, *_ in lines}, {"$oidc$gateway"})
    agents = {name: sum(agent.startswith(name) for *_, agent in lines)
              for name in ("Boto3", "aws-cli", "aws-sdk-js", "object_store")}
    equal([name for name, count in agents.items() if not count], [])
    refusals = [line for line in lines if line[2] in ("401", "403")]
    equal(refusals, [])
    return f"{len(tokens)} requests ({agents}) with {len(set(tokens.values()))} sessions, none with a key"


def no_secret_in_the_log(stand, *keys):
    log = stand.gateway.log()
    canaries = {"an assertion": "eyJ", "the owner's secret": stand.key[1]}
    for number, token in enumerate(set(stand.ceph.served("reports")[0].values())):
        canaries[f"the session token {number} of Ceph's"] = token
    for key in keys:
        with open(key.path, encoding="ascii") as file:
            canaries[f"the key {key.name}"] = file.read().splitlines()[3]
    equal("svc/plain" in log, True)
    for what, canary in canaries.items():
        if canary in log:
            line = next(line for line in log.splitlines() if canary in line)
            raise AssertionError(f"{what} in the log: {line[:200]}")
    return f"{len(canaries)} secrets, {len(log.splitlines())} lines"


def main():
    missing = cluster.missing()
    if missing:
        print(f"skipped ceph: {', '.join(missing)} not installed, and only root can do that")
        print("0 passed, 0 failed")
        return
    folder = tempfile.mkdtemp(prefix="credfed-e2e-")
    first, second, stranger, other = (SigningKey(folder, name) for name in ("first", "second", "stranger", "other"))
    try:
        with Ceph() as ceph, Provider(other) as provider:
            ceph_alone(ceph, provider, other)
            if os.environ.get("E2E_CEPH_ALONE"):
                checks.finish()
            stand = Stand(folder, ceph, provider, first, second)
            with stand.gateway:
                issuer(stand, first)
                boto3_through(stand)
                whole_loop(stand)
                exchanges(stand)
                object_store(stand)
                rotation(stand, first, second)
                refusals(stand, second, first, stranger)
                checks.run("Ceph served temporary credentials alone", temporary_credentials, stand)
                checks.run("no secret in the log at RUST_LOG=trace", no_secret_in_the_log, stand, first, second)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    checks.finish()


if __name__ == "__main__":
    main()
