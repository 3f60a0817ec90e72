"""May a name hold a slash?"""

from typing import Any

import anyio
import httpx
import pytest
from fastapi import FastAPI

from scheduler.api.frame import Frame

app = FastAPI()


@app.get("/things/{name}")
def _one(name: str) -> dict[str, Any]:
    return {"name": name}


@app.get("/things/{name}/parts/{part}")
def _part(name: str, part: str) -> dict[str, Any]:
    return {"name": name, "part": part}


def ask(path: str) -> httpx.Response:
    async def go() -> httpx.Response:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(Frame(app)), base_url="http://api"
        ) as client:
            return await client.get(path)

    return anyio.run(go)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/things/a%2Fb", {"name": "a/b"}),
        ("/things/a%2fb%2Fc", {"name": "a/b/c"}),
        ("/things/%2F", {"name": "/"}),
        ("/things/a%252Fb", {"name": "a%2Fb"}),
        ("/things/%C3%A4%2Fb%20c", {"name": "ä/b c"}),
        ("/things/a%2Fb/parts/c%2Fd", {"name": "a/b", "part": "c/d"}),
        ("/things/a/parts/c", {"name": "a", "part": "c"}),
    ],
)
def test_an_encoded_slash_is_part_of_the_name(path: str, found: dict[str, str]) -> None:
    assert ask(path).json() == found


@pytest.mark.parametrize("path", ["/things/a/b", "/things%2Fa", "/things/%2e%2e/x"])
def test_any_other_slash_parts_segments(path: str) -> None:
    assert ask(path).status_code == 404
