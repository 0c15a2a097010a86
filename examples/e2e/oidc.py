"""A certified OpenID provider's tokens, exchanged at the gateway's own STS by boto3, the AWS CLI and the JS SDK."""

import io
import json
import os
import shutil
import tempfile
import time

from boto3.s3.transfer import TransferConfig

from harness import Checks, Gateway, equal, http, refused, tool
from inbound import ACCOUNT, CHAINED, NOBODYS, NOWHERE, SESSION, WRITER, Inbound, replace
from web_identity import (AUDIENCE, SUBJECT, Identity, Load, Provider, SigningKey, bad_tokens, certificate, claims,
                          encode, flip, good_token, mint, order, public_jwk, s3_client, sts_client, within)

MIB = 1 << 20
# JWKS are fetched anew for a key that is not known, but not more often than this.
COOL_DOWN = 30
# Files of keys are read again so often, in seconds.
RELOAD = 1
READ_ONLY = json.dumps({
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
})

checks = Checks()


class Stand:
    """A gateway with an STS of its own, in front of its embedded server, which trusts one provider."""

    def __init__(self, folder, provider, env=None):
        self.provider = provider
        inbound = Inbound(folder, provider.url)
        self.ring, self.key, self.arguments = inbound.ring, inbound.key, inbound.arguments
        self.gateway = Gateway(*inbound.arguments, env=env)
        self.url = self.gateway.url
        self.sts = sts_client(self.url)
        self.owner = s3_client(self.url, self.key)

    def exchange(self, token=None, role=WRITER, name="e2e", **more):
        """A session for a token, of the provider's unless told."""
        return self.sts.assume_role_with_web_identity(
            RoleArn=role, RoleSessionName=name, WebIdentityToken=token or self.provider.token(), **more)

    def session(self, **more):
        return self.exchange(**more)["Credentials"]

    def s3(self, credentials):
        return s3_client(self.url, credentials)


def kid_of(credentials):
    """The ring key that sealed a token."""
    version, kid, _ = credentials["SessionToken"].split(".")
    equal(version, "cf1")
    return kid


# --- clients ---------------------------------------------------------------------------------------------------------


def boto3_clients(stand):
    identity = Identity(stand.url, WRITER, stand.provider.token(), session="by-boto3")

    def first():
        stand.owner.create_bucket(Bucket="reports")
        stand.owner.put_object(Bucket="reports", Key="other/a", Body=b"a")
        answer = stand.exchange(DurationSeconds=900)
        credentials = answer["Credentials"]
        equal((credentials["AccessKeyId"][:4], len(credentials["AccessKeyId"])), ("ASIA", 20))
        equal(answer["AssumedRoleUser"]["Arn"], f"{SESSION}/writer/e2e")
        equal((answer["SubjectFromWebIdentityToken"], answer["Audience"]), (SUBJECT, AUDIENCE))
        equal(800 < credentials["Expiration"].timestamp() - time.time() <= 900, True)
        return f"a token of {len(credentials['SessionToken'])} characters"

    def works():
        session = identity.boto3()
        s3 = session.client("s3", endpoint_url=stand.url)
        s3.put_object(Bucket="reports", Key="svc/plain", Body=b"hello", Metadata={"color": "blue"})
        got = s3.get_object(Bucket="reports", Key="svc/plain")
        equal((got["Body"].read(), got["Metadata"]), (b"hello", {"color": "blue"}))
        equal(s3.head_object(Bucket="reports", Key="svc/plain")["ContentLength"], 5)
        equal(s3.list_objects_v2(Bucket="reports", Prefix="svc/")["KeyCount"], 1)
        s3.copy_object(Bucket="reports", Key="svc/copied", CopySource={"Bucket": "reports", "Key": "svc/plain"})
        s3.delete_object(Bucket="reports", Key="svc/copied")
        body = os.urandom(11 * MIB)
        config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
        s3.upload_fileobj(io.BytesIO(body), "reports", "svc/parts", Config=config)
        got = io.BytesIO()
        s3.download_fileobj("reports", "svc/parts", got)
        equal(got.getvalue() == body, True)
        found = session.client("sts", endpoint_url=stand.url).get_caller_identity()
        equal((found["Arn"], found["Account"]), (f"{SESSION}/writer/by-boto3", ACCOUNT))

    def presigned():
        s3 = stand.s3(stand.session())
        place = {"Bucket": "reports", "Key": "svc/presigned"}
        put, get = (s3.generate_presigned_url(name, Params=place) for name in ("put_object", "get_object"))
        equal("X-Amz-Security-Token=cf1." in put, True)
        equal(http("PUT", put, b"by its URL alone")[0], 200)
        equal(http("GET", get), (200, b"by its URL alone"))
        token = get.split("X-Amz-Security-Token=")[1].split("&")[0]
        for change in (get.replace(token, flip(token)), get.replace(f"X-Amz-Security-Token={token}", "x=y"),
                       get.replace("svc/presigned", "svc/plain")):
            if http("GET", change)[0] not in (400, 403):
                raise AssertionError(f"not refused: {change[:200]}")
        denied = s3.generate_presigned_url("get_object", Params={"Bucket": "reports", "Key": "other/a"})
        equal(http("GET", denied)[0], 403)

    def presigned_expires():
        s3 = stand.s3(stand.session())
        url = s3.generate_presigned_url("get_object", Params={"Bucket": "reports", "Key": "svc/plain"}, ExpiresIn=2)
        equal(http("GET", url), (200, b"hello"))

        def over():
            status, body = http("GET", url)
            equal((status, b"<Code>AccessDenied</Code>" in body, b"<Expires>" in body), (403, True, True))
            return True

        within(10, "the URL is refused", over)

    def caller_by_url():
        sts = sts_client(stand.url, stand.session(name="by-url"))
        url = sts.generate_presigned_url("get_caller_identity", Params={}, HttpMethod="GET")
        status, body = http("GET", url)
        equal((status, f"{SESSION}/writer/by-url".encode() in body), (200, True))
        equal(http("GET", url.replace("Action=GetCallerIdentity", "Action=GetSessionToken"))[0], 403)
        link = sts.generate_presigned_url("assume_role", Params={"RoleArn": CHAINED, "RoleSessionName": "link"},
                                          HttpMethod="GET")
        equal(http("GET", link)[0], 403)

    checks.run("boto3: AssumeRoleWithWebIdentity", first)
    checks.run("boto3: its own web identity provider, then put, get, list, copy, delete, parts", works)
    checks.run("boto3: presigned with session credentials", presigned)
    checks.run("boto3: presigned with session credentials, and expired", presigned_expires)
    checks.run("boto3: GetCallerIdentity by a presigned URL", caller_by_url)


def aws_cli(stand):
    identity = Identity(stand.url, WRITER, stand.provider.token(), session="by-cli")
    v4 = os.path.join(identity.folder, "config")
    with open(v4, "w", encoding="ascii") as file:
        file.write("[default]\ns3 =\n    signature_version = s3v4\n")
    aws = identity.aws

    def whoami():
        equal(json.loads(aws("sts", "get-caller-identity"))["Arn"], f"{SESSION}/writer/by-cli")

    def files():
        with open(os.path.join(identity.folder, "file"), "wb") as file:
            file.write(os.urandom(9 * MIB))
        aws("s3", "cp", "file", "s3://reports/svc/cli/file")
        equal("file" in aws("s3", "ls", "s3://reports/svc/cli/"), True)
        aws("s3", "cp", "s3://reports/svc/cli/file", "back")
        with open(os.path.join(identity.folder, "file"), "rb") as one, \
             open(os.path.join(identity.folder, "back"), "rb") as other:
            equal(one.read() == other.read(), True)
        url = aws("s3", "presign", "s3://reports/svc/cli/file", env={"AWS_CONFIG_FILE": v4}).strip()
        equal(http("GET", url)[0], 200)
        equal("AccessDenied" in aws("s3", "ls", "s3://reports/other/", status=255), True)

    def exchange():
        with open(identity.file, encoding="ascii") as file:
            token = file.read()
        answer = json.loads(aws("sts", "assume-role-with-web-identity", "--role-arn", WRITER, "--role-session-name",
                                "cli", "--web-identity-token", token, "--duration-seconds", "900"))
        equal(answer["Provider"], stand.provider.url)

    def chain():
        answer = json.loads(aws("sts", "assume-role", "--role-arn", CHAINED, "--role-session-name", "link"))
        equal(answer["AssumedRoleUser"]["Arn"], f"{SESSION}/chained/link")
        said = aws("sts", "assume-role", "--role-arn", CHAINED, "--role-session-name", "link", "--duration-seconds",
                   "3601", status=255)
        equal("ValidationError" in said, True)
        said = aws("sts", "assume-role", "--role-arn", NOBODYS, "--role-session-name", "link", status=255)
        equal("AccessDenied" in said, True)

    def session_token():
        said = aws("sts", "get-session-token", status=255)
        equal("Cannot call GetSessionToken with session credentials" in said, True)
        key = {"AWS_ACCESS_KEY_ID": "owner", "AWS_SECRET_ACCESS_KEY": stand.key[1]}
        credentials = json.loads(aws("sts", "get-session-token", env=key))["Credentials"]
        stand.s3(credentials).head_object(Bucket="reports", Key="other/a")

    checks.run("AWS CLI: sts get-caller-identity", whoami)
    checks.run("AWS CLI: s3 cp there and back, ls, presign", files)
    checks.run("AWS CLI: sts assume-role-with-web-identity", exchange)
    checks.run("AWS CLI: sts assume-role from a session, and its limits", chain)
    checks.run("AWS CLI: sts get-session-token, by a key and not by a session", session_token)


def javascript(stand):
    identity = Identity(stand.url, WRITER, stand.provider.token(), session="by-js")
    identity.sdk(checks, "", "reports", "svc/js/", "other/", f"{SESSION}/writer/by-js")


# --- refusals --------------------------------------------------------------------------------------------------------


def rights(stand):
    credentials = stand.session()

    def elsewhere():
        s3 = stand.s3(credentials)
        for call, named in [
            (s3.get_object, {"Key": "other/a"}),
            (s3.put_object, {"Key": "other/b", "Body": b"b"}),
            (s3.delete_object, {"Key": "other/a"}),
            (s3.list_objects_v2, {}),
            (s3.list_objects_v2, {"Prefix": "sv"}),
            (s3.copy_object, {"Key": "svc/stolen", "CopySource": "reports/other/a"}),
            (s3.get_bucket_policy, {}),
        ]:
            refused("AccessDenied", call, Bucket="reports", **named)
        refused("AccessDenied", s3.get_object, Bucket="another", Key="svc/plain")
        refused("AccessDenied", s3.list_buckets)
        refused("AccessDenied", s3.create_bucket, Bucket="svc")

    def restricted():
        """The gateway evaluates no session policy, so a session that has one may do nothing with objects."""
        small = stand.session(Policy=READ_ONLY)
        s3 = stand.s3(small)
        refused("AccessDenied", s3.get_object, Bucket="reports", Key="svc/plain")
        refused("AccessDenied", s3.put_object, Bucket="reports", Key="svc/plain", Body=b"x")
        refused("AccessDenied", s3.list_objects_v2, Bucket="reports", Prefix="svc/")
        sts = sts_client(stand.url, small)
        equal(sts.get_caller_identity()["Arn"], f"{SESSION}/writer/e2e")
        refused("AccessDenied", sts.assume_role, RoleArn=CHAINED, RoleSessionName="out")
        refused("AccessDenied", sts.get_session_token)

    def named_policies():
        """Policies by name are not known here: better refused than left out."""
        policies = [{"arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}]
        refused("ValidationError", stand.exchange, PolicyArns=policies)

    def chained():
        small = sts_client(stand.url, credentials).assume_role(RoleArn=CHAINED, RoleSessionName="link")["Credentials"]
        stand.owner.put_object(Bucket="reports", Key="svc/chained/a", Body=b"a")
        s3 = stand.s3(small)
        equal(s3.get_object(Bucket="reports", Key="svc/chained/a")["Body"].read(), b"a")
        refused("AccessDenied", s3.get_object, Bucket="reports", Key="svc/plain")
        refused("AccessDenied", s3.put_object, Bucket="reports", Key="svc/chained/a", Body=b"b")

    checks.run("rights: other prefixes and buckets are AccessDenied", elsewhere)
    checks.run("rights: a session with a session policy is denied", restricted)
    checks.run("rights: policies by name are refused", named_policies)
    checks.run("rights: a chained session has those of its last role alone", chained)


def requests_to_sts(stand):
    token = stand.provider.token()
    exchange = stand.sts.assume_role_with_web_identity

    def bad(code, **changed):
        named = {"RoleArn": WRITER, "RoleSessionName": "e2e", "WebIdentityToken": token, **changed}
        refused(code, exchange, **named)

    def durations():
        for seconds in (899, 3601, 43200):
            bad("ValidationError", DurationSeconds=seconds)

    def roles():
        """Nothing tells a role that is not there from one that does not trust the caller."""
        said = []
        for role in (NOBODYS, NOWHERE, CHAINED, "arn:aws:iam::999999999999:role/writer"):
            try:
                exchange(RoleArn=role, RoleSessionName="e2e", WebIdentityToken=token)
            except stand.sts.exceptions.ClientError as error:
                found = error.response
                said.append((found["Error"]["Code"], found["Error"]["Message"],
                             found["ResponseMetadata"]["HTTPStatusCode"]))
        equal(len(said), 4)
        equal({(code, status) for code, _, status in said}, {("AccessDenied", 403)})
        equal(len({message for _, message, _ in said}), 1)

    def raw():
        """What no SDK would send."""
        form = {"content-type": "application/x-www-form-urlencoded"}
        for method, query, body, status, code in [
            ("POST", "", "Version=2011-06-15", 400, "MissingAction"),
            ("POST", "", "Action=Nonsense&Version=2011-06-15", 400, "InvalidAction"),
            ("POST", "", "Action=AssumeRoleWithWebIdentity&Version=2011-06-15", 400, "ValidationError"),
            ("POST", "", "Action=AssumeRoleWithWebIdentity&Action=GetCallerIdentity&Version=2011-06-15", 400, ""),
            ("POST", "?Action=GetCallerIdentity&Version=2011-06-15", "Action=GetCallerIdentity", 400, ""),
            ("POST", "", "Action=GetCallerIdentity&Version=2011-06-15", 403, ""),
            ("POST", "", "Action=GetCallerIdentity&Version=2011-06-15&x=" + "y" * 70000, 400, ""),
        ]:
            found, text = http(method, stand.url + "/" + query, body.encode(), form)
            wanted = f"<Code>{code}" if code else "<Code>"
            if (found == 413 and len(body) > 60000) or (found == status and wanted in text.decode()):
                continue
            raise AssertionError(f"{query} {body[:80]}: {found} {text[:300]}")

    checks.run("STS: durations out of range are a ValidationError", durations)
    checks.run("STS: unknown role, wrong subject, other account: the same AccessDenied", roles)
    checks.run("STS: malformed requests", raw)


def hostile_tokens(stand, key, stranger):
    tokens = bad_tokens(stand.provider.url, key, key.name, stranger)
    equal(stand.exchange(tokens.pop("good"))["SubjectFromWebIdentityToken"], SUBJECT)
    codes = {"expired": "ExpiredTokenException"}
    now, url = int(time.time()), stand.provider.url
    twice = json.dumps(claims(url))[:-1] + ', "sub": "admin"}'
    further = {
        "too long a life": order(url, key, key.name, exp=now + 172800),
        "too long": order(url, key, key.name, filler="x" * 16000),
        "a claim that comes twice": {**order(url, key, key.name), "claims": twice},
        "a critical header that nobody knows": order(url, key, key.name, header={"crit": ["x"], "x": 1}),
        "typ of another kind": order(url, key, key.name, header={"typ": "logout+jwt"}),
        "no sub": order(url, key, key.name, sub=None),
        "a list as sub": order(url, key, key.name, sub=[SUBJECT]),
        "a text as nbf": order(url, key, key.name, nbf=str(now)),
        "no iat": order(url, key, key.name, iat=None),
        "future iat": order(url, key, key.name, iat=now + 300),
        "exp before iat": order(url, key, key.name, exp=now - 5, iat=now - 5),
        "exp beyond all calendars": order(url, key, key.name, exp=1 << 62),
        "an empty sub": order(url, key, key.name, sub=""),
        "an empty list as aud": order(url, key, key.name, aud=[]),
        "an object as aud": order(url, key, key.name, aud={AUDIENCE: AUDIENCE}),
        "an algorithm that the issuer does not use": order(url, key, key.name, header={"alg": "PS256"}),
        "key of a stranger, in its own header": order(url, stranger, "stranger", header={"jwk": public_jwk(stranger)}),
        "key of a stranger, its certificate in its own header": order(
            url, stranger, key.name, header={"x5c": [certificate(stranger)]}),
        "key of a stranger, at a URL in its own header": order(
            url, stranger, "stranger", header={"jku": url + "/jwks", "x5u": url + "/jwks"}),
    }
    tokens.update(zip(further, mint(*further.values())))
    good = stand.provider.token()
    head, payload, signature = good.split(".")
    for alg in ("nOnE", "", None):
        tokens[f"alg {alg!r}"] = f"{encode({'alg': alg, 'kid': key.name, 'typ': 'JWT'})}.{payload}.{signature}"
    tokens["no alg"] = f"{encode({'kid': key.name, 'typ': 'JWT'})}.{payload}.{signature}"
    tokens["padding"] = f"{head}.{payload}==.{signature}"
    tokens["a blank at its end"] = good + " "
    tokens["no JWT"] = "hello, this is none"
    tokens["four parts"] = f"{good}.{good.rsplit('.', 1)[1]}"

    def one(what, token):
        try:
            stand.exchange(token)
        except stand.sts.exceptions.ClientError as error:
            found = error.response
            equal(found["ResponseMetadata"]["HTTPStatusCode"], 400)
            code, message = found["Error"]["Code"], found["Error"]["Message"]
            if what in ("no JWT", "too long"):
                equal(code in ("InvalidIdentityToken", "ValidationError"), True)
            else:
                equal(code, codes.get(what, "InvalidIdentityToken"))
            if token[-20:] in message:
                raise AssertionError("the answer repeats the token") from error
            return f"{code}: {message}"
        raise AssertionError("accepted")

    for what, token in tokens.items():
        checks.run(f"token refused: {what}", one, what, token)


def many_kids(stand, key):
    def check():
        before = stand.provider.paths.count("/jwks")
        orders = [order(stand.provider.url, key, os.urandom(9).hex()) for _ in range(300)]
        for token in mint(*orders):
            refused("InvalidIdentityToken", stand.exchange, token)
        stand.exchange()
        fetched = stand.provider.paths.count("/jwks") - before
        equal((before > 0, fetched <= 3), (True, True))
        return f"300 kids, {fetched} fetches"

    checks.run("tokens of unknown kids fetch nothing much and disturb nobody", check)


# --- session tokens --------------------------------------------------------------------------------------------------


def session_tokens(stand):
    mine, other = stand.session(name="mine"), stand.session(name="other")

    def bad(code, **changed):
        credentials = {**mine, **changed}
        s3 = stand.s3({name: value for name, value in credentials.items() if value is not None})
        for call, named in [(s3.get_object, {"Key": "svc/plain"}), (s3.put_object, {"Key": "svc/x", "Body": b"x"})]:
            refused(code, call, Bucket="reports", **named)

    def tampered():
        version, kid, sealed = mine["SessionToken"].split(".")
        for token in [
            f"{version}.{kid}.{flip(sealed)}",
            f"{version}.{kid}.{sealed[:-1]}",
            f"{version}.{kid}.{sealed}A",
            f"{version}.{flip(kid)}.{sealed}",
            f"cf2.{kid}.{sealed}",
            f"{version}.{kid}.",
            "nothing",
        ]:
            bad("InvalidToken", SessionToken=token)
        bad("RequestHeaderSectionTooLarge", SessionToken="cf1." + "x" * 9000)

    def swapped():
        bad("InvalidToken", SessionToken=other["SessionToken"])
        bad("InvalidToken", AccessKeyId=other["AccessKeyId"])
        bad("SignatureDoesNotMatch", SecretAccessKey=other["SecretAccessKey"])

    def removed():
        """A session's key id without its token is no key at all."""
        s3 = s3_client(stand.url, (mine["AccessKeyId"], mine["SecretAccessKey"]))
        for call, named in [(s3.get_object, {"Bucket": "reports", "Key": "svc/plain"}), (s3.list_buckets, {})]:
            refused("InvalidAccessKeyId", call, **named)

    def of_another_ring():
        """Another gateway of the same account, with a ring of its own, knows none of our sessions; a replica does."""
        with tempfile.TemporaryDirectory(prefix="credfed-e2e-") as folder:
            inbound = Inbound(folder, stand.provider.url)
            with Gateway(*inbound.arguments) as stranger:
                refused("InvalidToken", s3_client(stranger.url, mine).list_buckets)
                refused("InvalidClientTokenId", sts_client(stranger.url, mine).get_caller_identity)
            with Gateway(*stand.arguments) as replica:
                equal(sts_client(replica.url, mine).get_caller_identity()["Arn"], f"{SESSION}/writer/mine")

    def beside_a_static_key():
        credentials = {**mine, "AccessKeyId": "owner", "SecretAccessKey": stand.key[1]}
        refused("InvalidToken", stand.s3(credentials).get_object, Bucket="reports", Key="svc/plain")

    checks.run("session token: tampered with", tampered)
    checks.run("session token: of another key", swapped)
    checks.run("session token: missing", removed)
    checks.run("session token: of another ring; at a replica with the same ring", of_another_ring)
    checks.run("session token: beside a static key", beside_a_static_key)


# --- rotation --------------------------------------------------------------------------------------------------------


def ring_rotation(stand):
    old = stand.session(name="before")
    token = stand.provider.token()

    def rotated():
        s3 = stand.s3(old)
        calls = {
            "gets": lambda: s3.get_object(Bucket="reports", Key="svc/plain")["Body"].read(),
            "puts": lambda: stand.s3(stand.session(token=token)).put_object(
                Bucket="reports", Key="svc/load", Body=b"x"),
        }
        with Load(**calls) as load:
            tool("keyring", "rotate", stand.ring, "--activate-in", "3s", "--reload-interval", "1s")
            took = within(60, "new sessions are sealed by the new key",
                          lambda: kid_of(stand.session(token=token)) != kid_of(old))
            time.sleep(0.5)
        return f"{load.finish()}; the new key seals after {took:.1f} s"

    def unreadable():
        """A file that is no ring changes nothing; the operator learns of it."""
        with open(stand.ring, encoding="ascii") as file:
            text = file.read()
        replace(stand.ring, text[:len(text) // 2])
        try:
            within(10, "the log tells", lambda: "the last good key ring stays in use" in stand.gateway.log())
            time.sleep(2 * RELOAD)
            stand.s3(old).get_object(Bucket="reports", Key="svc/plain")
            stand.s3(stand.session(token=token)).get_object(Bucket="reports", Key="svc/plain")
        finally:
            replace(stand.ring, text)

    def removed():
        """A key that is taken out takes its sessions with it when the file is read again, and no others."""
        new = stand.session(name="after")
        s3 = stand.s3(new)
        stand.s3(old).get_object(Bucket="reports", Key="svc/plain")
        calls = {
            "gets": lambda: s3.get_object(Bucket="reports", Key="svc/plain")["Body"].read(),
            "sessions": lambda: stand.session(token=token),
        }
        with Load(**calls) as load:
            tool("keyring", "remove", stand.ring, kid_of(old))

            def gone():
                refused("InvalidToken", stand.s3(old).get_object, Bucket="reports", Key="svc/plain")
                return True

            took = within(5 * RELOAD, "the sessions of the removed key are refused", gone)
            refused("InvalidClientTokenId", sts_client(stand.url, old).get_caller_identity)
            reached = load.counts["gets"] + 10
            within(30, "ten more requests", lambda: load.counts["gets"] >= reached)
        return f"refused after {took:.1f} s; of the other key {load.finish()}"

    checks.run("ring: rotated while requests run", rotated)
    checks.run("ring: a file that is none", unreadable)
    checks.run("ring: a key removed while requests run", removed)


def provider_rotation(stand, first, second, third):
    provider = stand.provider
    session = stand.session(name="before")

    def graceful():
        """The next key was published before it signs: nobody notices."""
        s3, tokens = stand.s3(session), [provider.token()]
        calls = {
            "gets": lambda: s3.get_object(Bucket="reports", Key="svc/plain")["Body"].read(),
            "exchanges": lambda: stand.exchange(tokens[-1]),
        }
        with Load(**calls) as load:
            provider.restart(second, first)
            tokens.append(provider.token())
            reached = load.counts["exchanges"] + 20
            within(30, "twenty exchanges with the new key", lambda: load.counts["exchanges"] >= reached)
        return load.finish()

    def sudden():
        """A key that nobody has seen is fetched within the cool-down, and the ones that are gone count no more."""
        old = provider.token()
        s3 = stand.s3(session)
        with Load(gets=lambda: s3.get_object(Bucket="reports", Key="svc/plain")["Body"].read()) as load:
            provider.restart(third)
            token = provider.token()
            took = within(COOL_DOWN + 5, "a token of the new key is accepted", lambda: stand.exchange(token))
            refused("InvalidIdentityToken", stand.exchange, old)
            forged = good_token(provider.url, first, first.name)
            refused("InvalidIdentityToken", stand.exchange, forged)
        return f"{load.finish()}; accepted after {took:.1f} s"

    def away():
        """A provider that does not answer stops nobody whose key is known."""
        token = provider.token()
        provider.stop()
        stand.exchange(token)
        stand.s3(session).get_object(Bucket="reports", Key="svc/plain")

    checks.run("provider: its key rotated while requests run", graceful)
    checks.run("provider: all keys replaced at once while requests run", sudden)
    checks.run("provider: gone", away)


# --- secrets ---------------------------------------------------------------------------------------------------------


def no_secret_in_the_log(stand):
    provider = stand.provider
    token = provider.token()
    answer = stand.exchange(token)
    credentials = answer["Credentials"]
    stand.s3(credentials).get_object(Bucket="reports", Key="svc/plain")
    url = stand.s3(credentials).generate_presigned_url("get_object", Params={"Bucket": "reports", "Key": "svc/plain"})
    http("GET", url)
    broken = f"{token.rsplit('.', 1)[0]}.{flip(token.rsplit('.', 1)[1])}"
    refused("InvalidIdentityToken", stand.exchange, broken)
    with open(stand.ring, encoding="ascii") as file:
        ring = json.load(file)
    canaries = [stand.key[1], credentials["SecretAccessKey"], credentials["SessionToken"][-60:], token[-60:],
                token.split(".")[1][:60], broken[-60:]]
    canaries += [value for key in ring["keys"] for name, value in key.items()
                 if isinstance(value, str) and len(value) >= 40 and name != "kid"]
    log = stand.gateway.log()
    equal("GET" in log and "/reports/svc/plain" in log, True)
    for canary in canaries:
        if canary in log:
            line = next(line for line in log.splitlines() if canary in line)
            raise AssertionError(f"in the log: {line[:300]}")
    return f"{len(canaries)} secrets, {len(log.splitlines())} lines"


def main():
    folder = tempfile.mkdtemp(prefix="credfed-e2e-")
    first, second, third, stranger = (SigningKey(folder, name) for name in ("first", "second", "third", "stranger"))
    try:
        with Provider(first, second) as provider:
            stand = Stand(folder, provider, env={"RUST_LOG": "trace"})
            with stand.gateway:
                boto3_clients(stand)
                aws_cli(stand)
                javascript(stand)
                rights(stand)
                requests_to_sts(stand)
                hostile_tokens(stand, first, stranger)
                session_tokens(stand)
                ring_rotation(stand)
                checks.run("no secret in the log at RUST_LOG=trace", no_secret_in_the_log, stand)
                many_kids(stand, first)
                provider_rotation(stand, first, second, third)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    checks.finish()


if __name__ == "__main__":
    main()
