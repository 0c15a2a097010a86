"""What a gateway is told of its callers: a key that may do everything, a ring, and roles for a provider's tokens."""

import os

from harness import tool
from web_identity import AUDIENCE, SUBJECT

ACCOUNT = "000000000000"
WRITER, NOBODYS, CHAINED, NOWHERE = (
    f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in ("writer", "nobodys", "chained", "nowhere"))
# What the sessions of a role are called, but for their names.
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role"

KEYS = """
[[key]]
access_key_id = "owner"
secret_access_key = "{secret}"
list_buckets = true
[[key.allow]]
bucket = "*"
actions = ["read", "write", "delete", "list", "administer"]
"""

ROLES = """
account = "{account}"

[[issuer]]
url = "{issuer}"
audiences = ["{audience}"]
algorithms = ["RS256"]
types = ["at+jwt", "JWT"]
network = "loopback"

[[role]]
name = "writer"
max_session_seconds = 3600
[[role.trust]]
issuer = "{issuer}"
audiences = ["{audience}"]
subjects = ["{subject}"]
[[role.allow]]
bucket = "reports"
prefix = "svc/"
actions = ["read", "write", "delete", "list"]

[[role]]
name = "nobodys"
max_session_seconds = 3600
[[role.trust]]
issuer = "{issuer}"
audiences = ["{audience}"]
subjects = ["somebody-else"]
[[role.allow]]
bucket = "reports"
actions = ["read", "write", "delete", "list"]

[[role]]
name = "chained"
max_session_seconds = 7200
[[role.trust]]
roles = ["writer"]
[[role.allow]]
bucket = "reports"
prefix = "svc/chained/"
actions = ["read"]
"""


class Inbound:
    """`arguments` are the gateway's; `key` is that of the owner; `ring` is the file of the ring."""

    def __init__(self, folder, issuer):
        self.key = ("owner", os.urandom(20).hex())
        self.ring = os.path.join(folder, "ring.json")
        tool("keyring", "new", self.ring)
        self.arguments = ["--token-ring", self.ring]
        roles = ROLES.format(account=ACCOUNT, issuer=issuer, audience=AUDIENCE, subject=SUBJECT)
        for name, text in [("keys", KEYS.format(secret=self.key[1])), ("roles", roles)]:
            path = os.path.join(folder, f"{name}.toml")
            with open(path, "w", encoding="ascii", opener=private) as file:
                file.write(text)
            self.arguments += [f"--{name}", path]


def private(path, flags):
    """An opener of files that nobody else may read."""
    return os.open(path, flags, 0o600)


def replace(path, text):
    """Replaces a private file as a whole."""
    with open(path + ".new", "w", encoding="ascii", opener=private) as file:
        file.write(text)
    os.replace(path + ".new", path)
