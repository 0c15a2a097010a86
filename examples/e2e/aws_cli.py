"""The AWS CLI without its start: loads it once, then runs each command line in a process of its own, forked from here.

Reads one JSON list of arguments a line; answers with one JSON object: code, out, err.
"""

import json
import os
import sys
import tempfile

import awscli.clidriver

driver = awscli.clidriver.create_clidriver()
# What it would load anew with every command: the description of S3 and how to reach it.
driver.session.create_client("s3", region_name="us-east-1")
for line in sys.stdin:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            code = 1
            try:
                code = driver.main(json.loads(line))
            except SystemExit as ended:
                code = ended.code
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code if isinstance(code, int) else 1)
        _, status = os.waitpid(child, 0)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
    print(json.dumps({"code": os.waitstatus_to_exitcode(status), "out": texts[0], "err": texts[1]}), flush=True)
