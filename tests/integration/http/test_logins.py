"""A refused log-in is not tried by every stream of a connection, or its user would be locked."""

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field

import httpx
import pytest

from worker.connectors.contract import Auth, Limits, Request, Response
from worker.errors import HeadraceError, NeedsOperator, RateLimited
from worker.http.sender import CallContext, Sender
from worker.limits.budget import Budgets
from worker.telemetry.steps import Steps

pytestmark = pytest.mark.integration


class LoginAuth:
    def flow(
        self, request: Request, secrets: Mapping[str, str], held: dict[str, str]
    ) -> Generator[Request, Response, None]:
        if "token" not in held:
            answer = yield Request("POST", "login", body=secrets["password"].encode())
            if answer.status == 401:
                raise NeedsOperator("auth_refused", "The plant refuses the login.")
            held["token"] = answer.body.decode()
        yield Request(request.method, request.url, headers={"authorization": held["token"]})


@dataclass(frozen=True)
class PlantSource:
    base_url: str = "http://plant.test/api"
    transport: str = "http"
    auth: Auth = field(default_factory=LoginAuth)
    limits: Limits = field(default_factory=Limits)

    def stream(self, name: str) -> object:
        raise NotImplementedError(name)

    def failure(self, response: Response) -> HeadraceError | None:
        return NeedsOperator("auth_refused", "No.") if response.status == 403 else None


@dataclass
class Plant:
    """Knows one password, and counts who tries."""

    password: str = "right"
    tries: list[str] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/login"):
            return httpx.Response(403 if request.url.path.endswith("/forbidden") else 200, text="{}")
        self.tries.append(request.content.decode())
        good = self.tries[-1] == self.password
        return httpx.Response(200 if good else 401, text="token-of-this-session" if good else "")


@pytest.fixture
def sender_of(broker_url: str) -> Iterator[Callable[[Plant], Sender]]:
    opened: list[Budgets] = []

    def make(plant: Plant) -> Sender:
        opened.append(Budgets(broker_url, short_wait=0.2))
        return Sender(opened[-1], timeout=5, max_bytes=1024, transport=httpx.MockTransport(plant))

    yield make
    for budgets in opened:
        budgets.close()


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Response]:
    def ask(
        sender: Sender,
        password: str,
        path: str = "assets",
        connection: int = 1,
        name: str = "PLANT_PASSWORD",
        user: str = "headrace",
    ) -> Response:
        monkeypatch.setenv(name, password)
        context = CallContext(
            connection_id=connection,
            account="plant",
            lane=3,
            source=PlantSource(),  # type: ignore[arg-type]
            secrets={"password": f"env://{name}"},
            request_id="r",
            steps=Steps(),
            settings={"username": user},
        )
        return sender.send(context, Request("GET", path))

    return ask


Ask = Callable[..., Response]
SenderOf = Callable[[Plant], Sender]


def test_one_refused_log_in_is_enough_for_all_workers(sender_of: SenderOf, ask: Ask) -> None:
    plant = Plant()
    workers = [sender_of(plant), sender_of(plant)]
    with pytest.raises(NeedsOperator, match="refuses the login"):
        ask(workers[0], "wrong")
    for worker in workers * 5:
        with pytest.raises(
            RateLimited, match=r"The log-in was refused, .* \(The plant refuses the login\.\)"
        ):
            ask(worker, "wrong")
    assert plant.tries == ["wrong"]


def test_a_changed_secret_is_tried_at_once_and_works(sender_of: SenderOf, ask: Ask) -> None:
    plant = Plant()
    worker = sender_of(plant)
    with pytest.raises(NeedsOperator):
        ask(worker, "wrong")
    assert ask(worker, "right").status == 200
    assert plant.tries == ["wrong", "right"]


def test_who_is_given_another_secret_is_held_on_no_worker_also_on_one_that_never_saw_the_first(
    sender_of: SenderOf, ask: Ask
) -> None:
    plant = Plant()
    with pytest.raises(NeedsOperator):
        ask(sender_of(plant), "wrong")
    assert ask(sender_of(plant), "right", name="PLANT_PASSWORD_ANEW").status == 200
    with pytest.raises(RateLimited):
        ask(sender_of(plant), "wrong")


def test_whose_settings_are_mended_is_held_on_no_worker(sender_of: SenderOf, ask: Ask) -> None:
    plant = Plant()
    worker = sender_of(plant)
    with pytest.raises(NeedsOperator):
        ask(worker, "wrong", user="headrcae")
    for each in (worker, sender_of(plant)):
        assert ask(each, "right").status == 200


def test_another_user_does_not_go_by_the_session_of_the_one_before(sender_of: SenderOf, ask: Ask) -> None:
    plant = Plant()
    worker = sender_of(plant)
    for user in ("headrace", "headrace", "reader"):
        assert ask(worker, "right", user=user).status == 200
    assert len(plant.tries) == 2


def test_a_changed_secret_that_is_wrong_too_is_tried_once(sender_of: SenderOf, ask: Ask) -> None:
    plant = Plant()
    worker = sender_of(plant)
    for _ in range(4):
        with pytest.raises((NeedsOperator, RateLimited)):
            ask(worker, "wrong")
    for _ in range(4):
        with pytest.raises((NeedsOperator, RateLimited)):
            ask(worker, "wrong as well")
    assert plant.tries == ["wrong", "wrong as well"]


def test_another_connection_of_the_account_is_not_held_up(sender_of: SenderOf, ask: Ask) -> None:
    plant = Plant()
    worker = sender_of(plant)
    with pytest.raises(NeedsOperator):
        ask(worker, "wrong", connection=1)
    assert ask(worker, "right", connection=2).status == 200


def test_a_missing_permission_holds_up_no_log_in(sender_of: SenderOf, ask: Ask) -> None:
    plant = Plant()
    with pytest.raises(NeedsOperator):
        ask(sender_of(plant), "right", "forbidden")
    assert ask(sender_of(plant), "right").status == 200
