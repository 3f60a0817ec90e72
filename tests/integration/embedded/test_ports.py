"""A port that can't be had is named with the reason and the setting to change."""

import socket

import pytest

from scheduler.embedded.ports import free_port, is_free, require_free
from worker.errors import NeedsOperator

pytestmark = pytest.mark.integration


def test_a_listener_makes_a_port_taken_and_its_end_free_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not is_free(port)
    assert is_free(port)


def test_a_listener_on_every_address_takes_loopback_too() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        assert not is_free(server.getsockname()[1])


def test_a_port_of_a_connection_that_has_just_ended_is_free() -> None:
    """Else no server could come back at once to where it was."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = server.accept()
            accepted.close()  # the side that closes first is left in TIME_WAIT
            client.recv(1)
    assert is_free(port)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1"])
def test_a_free_port_can_be_required(host: str) -> None:
    if host == "::1" and not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    port = free_port(host)
    assert require_free(port, server="the API", setting="HEADRACE_PORT", host=host) == port


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_that_is_not_ours_is_not_called_a_taken_port(host: str) -> None:
    with pytest.raises(NeedsOperator, match=host) as caught:
        require_free(8787, server="the API", setting="HEADRACE_PORT", host=host)
    assert caught.value.code == "port_unusable"
