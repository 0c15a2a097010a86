"""A large object through the gateway, both ways, in constant memory.

The gateway that is measured forwards to a second one in a process of its own, so that its figure is its own.
"""

import hashlib
import http.client
import os
import time
import urllib.parse

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from harness import Checks, Gateway, equal

MIB = 1 << 20
SIZE = int(os.environ.get("E2E_MEMORY_MIB", "1024"))
BOUND = int(os.environ.get("E2E_MEMORY_BOUND", "100"))
BLOCK = os.urandom(MIB)
EMPTY = hashlib.sha256(b"").hexdigest()

checks = Checks()


def content():
    """SIZE blocks, no two alike."""
    for number in range(SIZE):
        yield number.to_bytes(8, "big") + BLOCK[8:]


def digest():
    sha256 = hashlib.sha256()
    for block in content():
        sha256.update(block)
    return sha256.hexdigest()


def call(gateway, method, path, payload, body=None, length=0):
    url = gateway.url + path
    request = AWSRequest(method, url, headers={"x-amz-content-sha256": payload, "content-length": str(length)})
    request.context["payload_signing_enabled"] = False
    signer = S3SigV4Auth(Credentials(*gateway.key), "s3", gateway.exports["AWS_REGION"])
    signer.payload = lambda _: payload
    signer.add_auth(request)
    request.headers.replace_header("X-Amz-Content-SHA256", payload)
    host = urllib.parse.urlsplit(url).netloc
    connection = http.client.HTTPConnection(host, timeout=300)
    connection.request(method, path, body=body, headers=dict(request.headers))
    return connection.getresponse()


def put(gateway, payload):
    began = time.monotonic()
    response = call(gateway, "PUT", "/memory/large", payload, content(), SIZE * MIB)
    equal((response.status, response.read()), (200, b""))
    return figures(gateway, began)


def get(gateway, wanted):
    began = time.monotonic()
    response = call(gateway, "GET", "/memory/large", EMPTY)
    equal(response.status, 200)
    sha256 = hashlib.sha256()
    while block := response.read(MIB):
        sha256.update(block)
    equal(sha256.hexdigest(), wanted)
    return figures(gateway, began)


def put_changed(gateway, wanted):
    """A large body that is not the one that was signed: refused at its end, and the object stays as it was."""
    def changed():
        for number, block in enumerate(content()):
            yield block if number + 1 < SIZE else block[:-1] + bytes([block[-1] ^ 1])

    def found():
        response = call(gateway, "HEAD", "/memory/large", EMPTY)
        return response.status, response.getheader("etag"), response.getheader("last-modified")

    before, began = found(), time.monotonic()
    response = call(gateway, "PUT", "/memory/large", wanted, changed(), SIZE * MIB)
    equal((response.status, b"XAmzContentSHA256Mismatch" in response.read()), (400, True))
    equal(found(), before)
    return figures(gateway, began)


def figures(gateway, began):
    return f"{SIZE / (time.monotonic() - began):.0f} MiB/s, peak {gateway.peak_mib():.1f} MiB"


def bounded(gateway, before):
    peak = gateway.peak_mib()
    if peak > BOUND:
        raise AssertionError(f"peak RSS {peak:.1f} MiB is over {BOUND} MiB")
    return f"peak RSS {peak:.1f} MiB after {SIZE} MiB objects ({before:.1f} MiB before), bound {BOUND} MiB"


def main():
    with Gateway() as behind:
        access, secret = behind.key
        env = {"AWS_ACCESS_KEY_ID": access, "AWS_SECRET_ACCESS_KEY": secret}
        with Gateway("--upstream", behind.url, env=env) as gateway:
            checks.run("create a bucket", lambda: equal(call(gateway, "PUT", "/memory", EMPTY).status, 200))
            before = gateway.peak_mib()
            whole = digest()
            checks.run(f"PUT {SIZE} MiB, signed", put, gateway, whole)
            checks.run(f"PUT {SIZE} MiB, UNSIGNED-PAYLOAD", put, gateway, "UNSIGNED-PAYLOAD")
            checks.run(f"GET {SIZE} MiB", get, gateway, whole)
            checks.run(f"PUT {SIZE} MiB, the last byte changed", put_changed, gateway, whole)
            checks.run("memory is constant", bounded, gateway, before)
    checks.finish()


if __name__ == "__main__":
    main()
