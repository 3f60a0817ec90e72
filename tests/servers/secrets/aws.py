"""AWS Secrets Manager as moto plays it, with users and policies that count where a test says so."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
from servers.running import running

from scheduler.embedded.ports import free_port

REGION = "eu-west-1"


@dataclass(frozen=True)
class Aws:
    """The service, and its administrator's way to it."""

    url: str

    def client(self, service: str = "secretsmanager") -> Any:
        return boto3.session.Session().client(
            service,
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id="administrator",
            aws_secret_access_key="administrator",
        )

    def user(self, name: str, *actions: str) -> dict[str, str]:
        """Somebody who may do just that: the environment in which a program acts for them."""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        self.allow(name, *actions)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}

    def allow(self, name: str, *actions: str) -> None:
        rule = {"Effect": "Allow", "Action": [*actions], "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [rule]})
        self.client("iam").put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)

    @contextmanager
    def strict(self) -> Iterator[None]:
        """Policies count, for everybody: nobody administrates meanwhile."""
        self._checks_from("0")
        try:
            yield
        finally:
            self._checks_from("inf")

    def _checks_from(self, count: str) -> None:
        httpx.post(f"{self.url}/moto-api/reset-auth", content=count).raise_for_status()


@contextmanager
def running_aws(folder: Path, port: int = 0) -> Iterator[Aws]:
    """The service on that port, or a free one."""
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    program = [Path(sys.executable).with_name("moto_server"), "-H", "127.0.0.1", "-p", str(port)]

    def answers() -> bool:
        try:
            return httpx.get(f"{url}/moto-api/").status_code == 200
        except httpx.HTTPError:
            return False

    with running(program, folder=folder, answers=answers):
        yield Aws(url)
