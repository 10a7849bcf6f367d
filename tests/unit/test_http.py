"""Status codes and broken calls as our errors; calls go to 127.0.0.1 only, where nobody or a tiny server answers."""

import socket
import threading

import pytest
import requests

from adapters.http import HttpClient, Rejected, error_for, retry_after
from revpipe.errors import CircuitOpen, CredentialsRefused, NotFound, Permanent, RateLimited, Transient


class Gate:
    def __init__(self):
        self.spent, self.ends = 0, []

    def spend(self, vendor, kind):
        self.spent += 1

    def report(self, vendor, kind, error):
        self.ends.append(error)


def answer(status, body=b"{}", **headers):
    response = requests.Response()
    response.status_code = status
    response._content = body
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return response


@pytest.fixture
def nobody():
    """A port on which nothing listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


def server(serve):
    """Serve each connection on a free port by `serve`; the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        stop = threading.Event()

        def loop():
            while not stop.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                serve(connection)

        thread = threading.Thread(target=loop)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        stop.set()
        thread.join()


@pytest.fixture
def hanging_up():
    """A server that takes each call and hangs up without an answer."""

    def serve(connection):
        with connection:
            connection.recv(65536)

    yield from server(serve)


@pytest.mark.parametrize(
    ("status", "kind", "ambiguous"),
    [
        (400, Rejected, None), (401, CredentialsRefused, None), (403, CredentialsRefused, None),
        (404, NotFound, None), (409, Rejected, None), (302, Rejected, None), (429, RateLimited, False),
        (408, Transient, True), (423, Transient, False), (477, Transient, False), (500, Transient, True),
        (503, Transient, True), (524, Transient, True),
    ],
)  # fmt: skip
def test_what_a_status_means(status, kind, ambiguous):
    error = error_for("acme", answer(status), safe=False)
    assert type(error) is kind
    assert getattr(error, "ambiguous", None) is ambiguous
    assert not getattr(error_for("acme", answer(status), safe=True), "ambiguous", False)


def test_a_rejection_keeps_what_the_vendor_said():
    error = error_for("acme", answer(400, b'{"errors": [1]}'), safe=False)
    assert (error.status, error.body, error.code) == (400, {"errors": [1]}, "permanent")
    assert error_for("acme", answer(400, b"<html>"), safe=False).body is None


def test_a_wait_is_honoured_where_nothing_was_done():
    assert error_for("acme", answer(429, Retry_After="3"), safe=False).retry_after == 3.0
    assert error_for("acme", answer(477, Retry_After="60"), safe=False).retry_after == 60.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("7", 7.0),
        ("1.5", 1.5),
        ("-3", 0.0),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
    ],
)
def test_retry_after(header, seconds):
    assert retry_after(header) == seconds


def test_a_refused_connection_did_nothing(nobody):
    gate = Gate()
    with pytest.raises(Transient) as caught:
        HttpClient("acme", nobody, gate).request("POST", "/x", json={})
    assert not caught.value.ambiguous
    assert caught.value.where == "acme out of reach"
    assert (gate.spent, gate.ends) == (1, [caught.value])


def test_a_safe_call_is_tried_three_times(nobody):
    gate = Gate()
    with pytest.raises(Transient):
        HttpClient("acme", nobody, gate).request("GET", "/x")
    assert gate.spent == 3


def test_a_call_that_broke_off_may_have_arrived(hanging_up):
    gate = Gate()
    with pytest.raises(Transient) as caught:
        HttpClient("acme", hanging_up, gate).request("POST", "/x", json={})
    assert caught.value.ambiguous
    assert caught.value.where == "acme broke off"
    assert gate.spent == 1


def test_what_can_not_be_sent_is_no_fault_of_the_vendor(nobody):
    gate = Gate()
    with pytest.raises(Permanent, match="can't be sent"):
        HttpClient("acme", nobody, gate).request("POST", "/x", json={"amount": float("nan")})
    assert gate.ends == []


@pytest.fixture
def answering():
    """A server that answers each call with 200 and a body of its own."""

    def serve(connection):
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")

    yield from server(serve)


def test_a_bad_body_under_a_good_status_is_reported_once_as_what_it_is(answering):
    gate = Gate()
    with pytest.raises(CredentialsRefused):
        HttpClient("acme", answering, gate).request("GET", "/x", judge=lambda answer: CredentialsRefused(answer.text))
    assert [type(end) for end in gate.ends] == [CredentialsRefused]
    assert HttpClient("acme", answering, gate).request("GET", "/x", judge=lambda _: None).text == "no"
    assert gate.ends[1:] == [None]


def test_an_open_circuit_is_neither_tried_again_nor_waited_for_nor_reported(nobody):
    class Shut(Gate):
        def spend(self, vendor, kind):
            super().spend(vendor, kind)
            raise CircuitOpen("open", circuit="acme:default", retry_after=0.01)

    gate = Shut()
    with pytest.raises(CircuitOpen):
        HttpClient("acme", nobody, gate, patience=5).request("GET", "/x")
    assert (gate.spent, gate.ends) == (1, [])
