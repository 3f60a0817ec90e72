"""A hook changes what goes and comes, and its mistakes are its own."""

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from worker.connectors.connector import ManifestConnector
from worker.connectors.contract import Moment, Request, Response, Signing, Step, Window
from worker.connectors.hooks.signing import HookedAuth
from worker.connectors.hooks.source import HookedSource, hooked
from worker.connectors.manifest.model import load_manifest
from worker.errors import InvalidInput, NeedsOperator, Transient

With = Callable[..., HookedSource]
ASKED = Request("GET", "/parts")
ANSWER = Response(200, {}, b"{}", "https://plant.example.com/parts")


def test_what_goes_and_comes_passes_it_with_the_settings(with_hook: With) -> None:
    source = with_hook(
        """
        from dataclasses import dataclass, replace

        @dataclass
        class Wrapped:
            rows: str

        class Hook(BaseHook):
            def request(self, request: Request) -> Request:
                return replace(request, headers={"X-Site": self.settings["site"]})

            def response(self, response: Response) -> Response:
                return replace(response, body=b'{"data": ' + Wrapped("[]").rows.encode() + b"}")
        """
    )
    assert source.sending(ASKED).headers == {"X-Site": "north"}
    page = source.stream("parts").read(source.received(ANSWER), Window(), None)
    assert page.records == []


def test_what_it_does_not_say_is_as_without_it(with_hook: With) -> None:
    source = with_hook("class Hook(BaseHook): ...")
    assert source.sending(ASKED) is ASKED
    assert source.received(ANSWER) is ANSWER
    assert source.failure(ANSWER) is None
    assert getattr(source.failure(Response(403, {}, b"", "")), "code", None) == "auth_refused"


def test_its_word_on_a_failure_comes_before_the_manifests(with_hook: With) -> None:
    source = with_hook(
        """
        from worker.errors import NeedsOperator, Transient

        class Hook(BaseHook):
            def failure(self, response):
                if response.status == 403:
                    return Transient("asleep", "The plant sleeps.")
                if response.status == 404:
                    raise NeedsOperator("gone", "Raised is as good as returned.")
        """
    )
    codes = [
        getattr(source.failure(Response(status, {}, b"", "")), "code", None)
        for status in (200, 401, 403, 404)
    ]
    assert codes == [None, "auth_refused", "asleep", "gone"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise ValueError(self.settings['secret'])", "The hook failed with KeyError in response ("),
        ("return _parse(response)", "The hook failed with ValueError in response ("),
        ("raise SystemExit(1)", "The hook failed with SystemExit in response ("),
        ("return self.response(response)", "The hook failed with RecursionError in response ("),
        ("pass", "The hook's response must return a Response, not NoneType ("),
        ("return Response(200, {}, 'text', '')", "must return a Response whose body is bytes"),
    ],
)
def test_its_mistakes_need_an_operator_and_show_no_value(with_hook: With, body: str, words: str) -> None:
    source = with_hook(
        f"""
        def _parse(response):
            raise ValueError("hunter2 in " + response.body.decode())

        class Hook(BaseHook):
            def response(self, response):
                {body}
        """
    )
    with pytest.raises(NeedsOperator) as caught:
        source.received(ANSWER)
    assert caught.value.code == "hook_failed"
    assert words in caught.value.message
    assert "plant/hook.py" in caught.value.message
    assert "hunter2" not in str(caught.value)


def test_the_line_is_the_innermost_one_of_the_file(with_hook: With) -> None:
    source = with_hook(
        """
        import json
        class Hook(BaseHook):
            def response(self, response):
                return json.loads("{")
        """
    )
    with pytest.raises(NeedsOperator, match=r"JSONDecodeError in response \(.*hook\.py:5\)"):
        source.received(ANSWER)


def test_its_own_refusals_are_what_it_says(with_hook: With) -> None:
    source = with_hook(
        """
        from worker.errors import Transient
        class Hook(BaseHook):
            def request(self, request):
                raise Transient("not_ready", "The index is being built.")
        """
    )
    with pytest.raises(Transient, match="The index is being built"):
        source.sending(ASKED)


def test_settings_that_it_does_not_take_are_refused_as_settings_are(with_hook: With) -> None:
    code = """
        class Hook(BaseHook):
            def __init__(self, settings):
                super().__init__(settings)
                {"north": 1}[settings["site"]]
        """
    with_hook(code)
    with pytest.raises(InvalidInput) as caught:
        with_hook(code, site="south")
    assert (caught.value.code, caught.value.place) == ("hook_failed", "settings")


@pytest.mark.parametrize(
    ("code", "line", "words"),
    [
        ("class Hook(BaseHook)\n    pass", 2, "not valid Python: expected ':'"),
        ("import nowhere_to_be_found", 2, "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("def f():\n    1 / 0\nf()", 3, "ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", 2, "SystemExit: 3"),
        ("x = 1", 1, "defines no class Hook"),
        ("def Hook(settings): ...", 1, "defines no class Hook"),
        ("class Hook:\n    def request(self, request): ...", 3, "The class Hook isn't a BaseHook."),
        ("class Hook(BaseHook):\n    def responce(self, r): ...", 3, "Did you mean 'response'?"),
    ],
)
def test_a_file_that_is_none_is_refused_with_its_line(
    with_hook: With, code: str, line: int, words: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        with_hook(code)
    assert caught.value.code == "bad_hook"
    assert str(caught.value.place).endswith(f"plant/hook.py:{line}")
    assert words in str(caught.value)


def test_a_manifest_that_names_a_file_which_is_not_there_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "plant"
    folder.mkdir()
    manifest = {"manifest": 1, "system": "plant", "title": "P", "protocol": "rest", "base_url": "https://h", "hook": "hook.py", "streams": {"p": {"path": "/p", "records": "", "key": "id"}}}  # fmt: skip
    (folder / "manifest.yaml").write_text(yaml.safe_dump(manifest, sort_keys=False))
    with pytest.raises(InvalidInput, match=r"manifest\.yaml:6: There is no file hook\.py"):
        load_manifest(folder / "manifest.yaml")
    (folder / "manifest.yaml").write_text(json.dumps({**manifest, "hook": "../hook.py"}))
    with pytest.raises(InvalidInput, match="hook can't be"):
        load_manifest(folder / "manifest.yaml")


def test_a_source_without_one_is_what_its_protocol_made(tmp_path: Path) -> None:
    catalog = Path(__file__).parents[4] / "worker/connectors/catalog/demo/manifest.yaml"
    source = ManifestConnector(load_manifest(catalog)).bind({"base_url": "https://h"})
    assert hooked(source) is None


class TestSigning:
    """A hook signs last, and only what was asked for."""

    CODE = """
        from dataclasses import replace

        class Hook(BaseHook):
            def sign(self, request, secrets, moment):
                proof = f"{secrets['key']}/{moment.nonce}/{request.headers['Authorization']}"
                return replace(request, headers={**request.headers, "X-Proof": proof})
        """

    def steps(self, source: HookedSource, answers: list[int]) -> list[Request]:
        """What the flow has sent, answered by these statuses."""
        moment = Moment(datetime(2026, 3, 1, tzinfo=UTC), "once", lambda request: request.url)
        flow = source.auth.flow(ASKED, {"key": "planted"}, {})
        step, sent = next(flow), []
        for status in answers:
            made = step.make(moment) if isinstance(step, Signing) else step
            assert isinstance(made, Request)
            sent.append(made)
            try:
                step = flow.send(Response(status, {}, b"token", ""))
            except StopIteration:
                break
        return sent

    def test_comes_last_and_leaves_log_ins_alone(self, with_hook: With) -> None:
        source = with_hook(self.CODE)
        source.auth = HookedAuth(LoginFirst(), source._calls)
        login, asked = self.steps(source, [200, 200])
        assert (login.url, login.headers) == ("/login", {})
        assert asked.headers["X-Proof"] == "planted/once/Bearer token"

    def test_a_hook_that_does_not_sign_costs_nothing(self, with_hook: With) -> None:
        assert not isinstance(with_hook("class Hook(BaseHook): ...").auth, HookedAuth)

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ("raise ValueError(secrets['key'])", "failed with ValueError in sign"),
            ("return replace(request, url='/else')", "the same request, with other headers"),
            ("return None", "sign must return a Request, not NoneType"),
        ],
    )
    def test_its_mistakes_show_no_secret(self, with_hook: With, body: str, words: str) -> None:
        source = with_hook(
            f"""
            from dataclasses import replace
            class Hook(BaseHook):
                def sign(self, request, secrets, moment):
                    {body}
            """
        )
        with pytest.raises(NeedsOperator) as caught:
            self.steps(source, [200])
        assert words in caught.value.message
        assert "planted" not in str(caught.value)


class LoginFirst:
    def flow(
        self, request: Request, secrets: Mapping[str, str], held: dict[str, str]
    ) -> Generator[Step, Response, None]:
        answer = yield Request("POST", "/login")
        yield replace(request, headers={"Authorization": f"Bearer {answer.body.decode()}"})
