"""What can be set, and where does each value come from?

First the environment (`HEADRACE_…`), then `endpoints.json` in Headrace's home, which `headrace up` writes for the
servers that it started itself, then the defaults below. Read once, frozen. The only reader of the environment but for
`worker/secrets/stores/env.py`.
"""

import json
from functools import lru_cache
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from worker.errors import InvalidInput, NeedsOperator

ENDPOINTS_FILE = "endpoints.json"


class Settings(BaseSettings):
    """Everything that can be set. Durations are in seconds."""

    model_config = SettingsConfigDict(
        env_prefix="HEADRACE_", frozen=True, extra="ignore", use_attribute_docstrings=True
    )

    home: Path = Path(".headrace")
    """Where embedded servers keep their data, and where logs go. Whoever reads this folder reads the copy."""
    database_url: SecretStr | None = None
    """`postgresql://user:password@host/database`, Postgres 16 or newer. Not set: an embedded Postgres is used."""
    broker_url: SecretStr | None = None
    """`redis://:password@host:6379/0`, Valkey or Redis 7 or newer. Not set: an embedded Valkey is used."""
    postgres_port: int = Field(default=0, ge=0, le=65535)
    """Port of the embedded Postgres; 0 takes a free one and keeps it."""
    valkey_port: int = Field(default=0, ge=0, le=65535)
    """Port of the embedded Valkey; 0 takes a free one and keeps it."""
    connectors: Annotated[tuple[Path, ...], NoDecode] = ()
    """Folders with systems of your own, separated by `:`, each `<folder>/<system>/manifest.yaml`."""
    reload_connectors: float = Field(default=5.0, ge=0)
    """Seconds between two looks at the folders of HEADRACE_CONNECTORS: what was edited there is taken without a restart. 0: only at the start."""
    taps: Annotated[tuple[str, ...], NoDecode] = ()
    """Singer taps that connections may run, separated by spaces: requirements such as `tap-csv==1.4.0`, absolute paths of programs, or folders of them that end in `/`. Empty: none. A tap is a program with the worker's rights."""
    taps_memory: int = Field(default=2048, ge=0)
    """Megabytes of address space that one tap may take; 0: any number."""
    taps_cpu: int = Field(default=0, ge=0)
    """Seconds of a processor that one run of a tap may take; 0: any number."""
    taps_silence: float = Field(default=600.0, ge=1)
    """A tap that has written nothing for so long hangs: it is ended, and its run tried again."""

    host: str = "127.0.0.1"
    """Address that the API listens on. Anything but loopback belongs behind TLS."""
    port: int = Field(default=8787, ge=0, le=65535)
    """Port of the API; 0 takes a free one."""
    flower_port: int = Field(default=5555, ge=0, le=65535)
    """Port of Flower, on the loopback address; 0 takes a free one."""
    api_token: SecretStr | None = None
    """A first admin token of the API, in the form hr_live_…. Not set: where there is none at all, one of live and one of test are made and kept in `<home>/api-token` and `<home>/api-token-test`."""
    api_rate: int = Field(default=6000, ge=0)
    """How many requests a minute one token may make of one process of the API; 0: any number."""
    url: str | None = None
    """An API elsewhere, such as `https://headrace.example.com`: commands ask it, and open no database of this machine."""
    token: SecretStr | None = None
    """The token for that API, or better a reference to it, such as `file:///run/secrets/headrace`."""
    public_url: str | None = None
    """Where systems and customers reach the API from outside, such as https://headrace.example.com: for webhooks and log-ins."""
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    """Networks of proxies before the API, separated by spaces: their `X-Forwarded-For` is believed, so that a token's networks mean its users'."""
    live_secrets: Annotated[tuple[str, ...], NoDecode] = ()
    """Prefixes that references of live connections must have, separated by spaces, such as `vault://live/ env://LIVE_`; empty: any."""
    test_secrets: Annotated[tuple[str, ...], NoDecode] = ()
    """The same for test connections."""
    secret_files: Annotated[tuple[str, ...], NoDecode] = ()
    """Folders in which files must lie that `file://` leads to, separated by spaces, such as `/run/secrets`; links are followed. Empty: any file that a worker may read and that isn't Headrace's own."""
    secret_cache: float = Field(default=300.0, ge=0)
    """For how long an opened secret of a store is used before it is read again; a 401 of its system reads it again at once."""
    secret_keep: float = Field(default=86_400.0, ge=0)
    """For how long running connections go on with the secrets that they hold while their store is away."""
    vault_token: str | None = None
    """`env://NAME` or `file:///path` of a token for Vault or OpenBao. Not set: `VAULT_TOKEN`, where nothing else logs in. For `vault+test://`, this and what follows end in `_TEST`."""
    vault_role_id: str | None = None
    """`env://NAME` or `file:///path` of the role id with which to log in by AppRole."""
    vault_secret_id: str | None = None
    """The same of its secret id."""
    vault_kubernetes_role: str | None = None
    """The role with which to log in by the service account of a pod."""
    vault_kubernetes_jwt: Path = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
    """Where the service account's token is."""
    vault_auth_mount: str | None = None
    """Where that way of logging in is mounted, if not at `approle` or `kubernetes`."""
    azure_vault_url: str = "https://{vault}.vault.azure.net"
    """Where a vault of Azure is; other clouds have other endings, such as `https://{vault}.vault.usgovcloudapi.net`."""

    task_events: bool = False
    """Workers report each task for Flower to show. `headrace up` switches it on; it costs a few messages a task."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Below this, nothing is logged."""
    log_format: Literal["auto", "json", "console"] = "auto"
    """`auto` writes for people on a terminal and JSON lines elsewhere."""

    processes: int = Field(default=0, ge=0, le=512)
    """Processes of the main lanes that `headrace worker` starts; 0: one for each CPU that it may use."""
    bulk_processes: int = Field(default=0, ge=0, le=512)
    """The same for the bulk lane (history, sweeps); 0: half as many, and one at least."""
    concurrency: int = Field(default=32, ge=1, le=256)
    """Runs that one worker process carries out side by side (threads that mostly wait for a system)."""
    bulk_concurrency: int = Field(default=4, ge=1, le=64)
    """The same for a process of the bulk lane (history, sweeps), which parses and loads more than it waits."""
    process_memory: int = Field(default=1024, ge=0)
    """Megabytes after which a worker process finishes what it does and is replaced by a fresh one; 0: never."""
    stop_within: float = Field(default=45.0, ge=0.5)
    """How long a worker that is told to stop lets runs come to the end of their page; then they are given back as they are."""
    stall: float = Field(default=600.0, ge=1)
    """A run without a page for so long hangs (never less than eight request time-outs): it is left, its process replaced."""
    run_deadline: float = Field(default=900.0, ge=1)
    """A run that has worked for so long is given back at its next page, and goes on later."""
    statement_timeout: float = Field(default=120.0, ge=1)
    """A worker's statement that Postgres hasn't answered in so long is ended, and its run tried again."""
    lease: float = Field(default=90.0, ge=2)
    """How long a silent worker keeps a run. Shorter than a worker's longest pause, and its work is done twice."""
    idle_in_transaction_timeout: float = Field(default=60.0, ge=1)
    """Postgres ends a transaction whose client fell silent. Must be shorter than the lease."""
    max_attempts: int = Field(default=5, ge=1, le=100)
    """Failures in a row (crashes count) before a run is given up."""
    slice: float = Field(default=60.0, ge=1)
    """A run of the bulk lane gives its place back at the first page after this long, so others get a turn."""
    short_wait: float = Field(default=2.0, ge=0, le=30)
    """A wait for a budget up to this long is slept; a longer one gives the run back with the time to go on."""
    request_timeout: float = Field(default=60.0, ge=1)
    """How long a system may take to answer one request."""
    side_by_side: int = Field(default=8, ge=1, le=64)
    """Pages of one run that are asked for at once, where a system pages by offset or number; its limits come first."""
    max_page_bytes: int = Field(default=128 * 1024 * 1024, ge=1024)
    """A longer answer than this is refused, so that one page can't eat the worker's memory."""
    page_memory: int = Field(default=128 * 1024 * 1024, ge=1024 * 1024)
    """Bytes of large pages (beyond 1 MiB each) that a process reads at a time; others wait. Loading takes 2.5 times that."""
    outbound_loopback: bool = False
    """Outbound events may go to programs on the workers' own machines. `headrace up` with its demo system switches it on."""
    database_pool: int = Field(default=4, ge=1, le=100)
    """Connections to Postgres for the runs of a process, none held while a system is asked; one more keeps its leases."""

    connect_key: str | None = None
    """Reference to the key that log-ins at systems are proved with. Not set: one is kept in `<home>/connect-key`; APIs on several machines need one in common."""
    privacy_key: str | None = None
    """`env://NAME` or `file:///path` of the key that fields are hashed with and erased records are known by: docs/privacy.md."""
    keep_tombstones: int = Field(default=90, ge=1)
    """Days for which a record that is gone at its system leaves its tombstone, for readers of the change feed to see it."""
    keep_quarantine: int = Field(default=90, ge=1)
    """Days for which a record that was set aside is kept after it last came."""
    keep_runs: int = Field(default=90, ge=1)
    """Days for which runs are kept that changed something, or went wrong."""
    keep_idle_runs: int = Field(default=3, ge=1)
    """Days for which runs are kept that found nothing new, and nothing wrong."""
    keep_deliveries: int = Field(default=30, ge=1)
    """Days for which deliveries to subscribers are kept after they ended."""
    keep_events: int = Field(default=7, ge=1)
    """Days for which events of webhooks are kept after they came."""
    keep_event_keys: int = Field(default=30, ge=1)
    """Days for which an event that comes again is known to have come before."""
    keep_refusals: int = Field(default=2, ge=1)
    """Days for which webhooks are kept that weren't taken, without their secrets."""
    keep_audit: int = Field(default=365, ge=1)
    """Days for which it is kept who used which power."""
    keep_verifications: int = Field(default=365, ge=1)
    """Days for which the results of comparisons with the source are kept."""

    @field_validator("home", mode="after")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return home.expanduser().absolute()

    @field_validator("connectors", mode="before")
    @classmethod
    def _split_folders(cls, value: Any) -> Any:
        return tuple(part for part in value.split(":") if part) if isinstance(value, str) else value

    @field_validator("live_secrets", "test_secrets", "secret_files", "taps", mode="before")
    @classmethod
    def _split_prefixes(cls, value: Any) -> Any:
        return tuple(value.split()) if isinstance(value, str) else value

    @field_validator("taps", mode="after")
    @classmethod
    def _no_options(cls, taps: tuple[str, ...]) -> tuple[str, ...]:
        if any(not tap[0].isalnum() and tap[0] != "/" for tap in taps):
            raise ValueError("a tap is a requirement, or an absolute path")
        return taps

    @field_validator("secret_files", mode="after")
    @classmethod
    def _absolute_folders(cls, folders: tuple[str, ...]) -> tuple[str, ...]:
        if any(not folder.startswith("/") for folder in folders):
            raise ValueError("folders are absolute: they begin with /")
        return folders

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _split_networks(cls, value: Any) -> Any:
        found = tuple(value.split()) if isinstance(value, str) else value
        for network in found:
            ip_network(network)
        return found

    @field_validator("idle_in_transaction_timeout", mode="after")
    @classmethod
    def _shorter_than_lease(cls, timeout: float, info: Any) -> float:
        lease = info.data.get("lease")
        return timeout if lease is None or timeout < lease else lease * 2 / 3

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, _Endpoints(settings_cls, (init_settings, env_settings))

    def require_database_url(self) -> str:
        """The database's URL, or an error that says how to come by one."""
        if self.database_url is None:
            raise NeedsOperator(
                "no_database",
                f"No database is set, and no embedded one is known in {self.home}.",
                hint="Start everything with `headrace up`, or set HEADRACE_DATABASE_URL.",
            )
        return self.database_url.get_secret_value()

    def require_broker_url(self) -> str:
        """The broker's URL, or an error that says how to come by one."""
        if self.broker_url is None:
            raise NeedsOperator(
                "no_broker",
                f"No broker is set, and no embedded one is known in {self.home}.",
                hint="Start everything with `headrace up`, or set HEADRACE_BROKER_URL.",
            )
        return self.broker_url.get_secret_value()


class _Endpoints(PydanticBaseSettingsSource):
    """What `headrace up` wrote down of the servers that it started, in the home that the other sources name."""

    def __init__(
        self, settings_cls: type[BaseSettings], before: tuple[PydanticBaseSettingsSource, ...]
    ) -> None:
        super().__init__(settings_cls)
        self._before = before

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        del field, field_name
        return None, "", False

    def __call__(self) -> dict[str, Any]:
        home = Settings.model_fields["home"].default
        for source in reversed(self._before):
            home = source().get("home", home)
        try:
            text = (Path(home).expanduser() / ENDPOINTS_FILE).read_text()
        except OSError:
            return {}
        try:
            found = json.loads(text)
        except ValueError:
            return {}
        return {key: value for key, value in found.items() if key in Settings.model_fields}


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read at the first call."""
    return load_settings()


def load_settings(**overrides: Any) -> Settings:
    """Read the settings anew; a wrong one stops the start and is named as the variable that set it."""
    try:
        return Settings(**overrides)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        name = "HEADRACE_" + "_".join(str(part) for part in first["loc"]).upper()
        raise InvalidInput(
            "bad_setting",
            f"{name} is wrong: {first['msg']}.",
            hint="docs/settings.md lists every setting with its default.",
        ) from None
