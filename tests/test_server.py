"""The server as a process: it tells where it is, stores before it answers, stops when told, and loses nothing when killed."""

import json
import signal
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest
from tests.servers import key, running

import mangrove as mg
from mangrove.client import Client
from mangrove.errors import LedgerError, RequestError, SourceError
from mangrove.ledger.types import Origin
from mangrove.server import Options, serve
from mangrove.testing import two_factory_park, values

START = datetime(2023, 6, 1, tzinfo=UTC)


def hours(flow, count, first=0, value=1.0):
    return values([(flow, START + timedelta(hours=first + i), value) for i in range(count)])


@pytest.fixture
def folder(tmp_path):
    return two_factory_park(tmp_path / "park")


def test_a_first_start_gives_a_link_for_the_administrator_and_no_password(folder):
    with running(folder) as (url, process, said):
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    text = "\n".join(said)
    assert f"{url}/enter/" in text
    assert "password" not in text.lower()


def test_what_was_answered_is_on_disk_when_the_server_is_killed(folder):
    secret = key(folder)
    answered = 0
    for round_ in range(3):
        with running(folder) as (url, process, _):
            client = Client(url, secret)
            for i in range(10):
                rows = hours("mill.power", 20, first=(round_ * 10 + i) * 20)
                answered += client.values(rows, Origin("gateway", f"{round_}-{i}")).rows
            process.kill()
            process.wait(20)
    with mg.open(folder).reader() as ledger, ledger.snapshot() as snapshot:
        stored = snapshot.values(["mill.power"], START, START + timedelta(days=365)).num_rows
        assert not ledger.verify()
    assert stored == answered == 600


def test_the_same_values_sent_again_are_answered_with_the_same_batch(folder):
    secret = key(folder)
    with running(folder) as (url, _, _):
        client = Client(url, secret)
        first = client.values(hours("mill.power", 5), Origin("gateway", "1"))
        again = client.values(hours("mill.power", 5), Origin("gateway", "1"))
    assert (again.batch, again.hash, again.duplicate) == (first.batch, first.hash, True)


def test_a_stranger_gets_nothing_and_is_told_nothing(folder):
    with running(folder) as (url, _, _):
        for path in ("/now.json", "/why.json", "/api/v1/values.json?flow=mill.power", "/metrics", "/events"):
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(f"{url}{path}", timeout=10)
            assert refused.value.code == 401, path
            assert b"mill" not in refused.value.read()
        with pytest.raises(SourceError) as refused:
            Client(url, "mg_" + "x" * 43).values(hours("mill.power", 1), Origin("a", "1"))
    assert refused.value.code == "client.refused"


def test_visitors_look_without_signing_in_where_the_server_allows_it(folder):
    with running(folder, "--guest", "operator") as (url, _, _):
        answer = json.load(urllib.request.urlopen(f"{url}/api/v1/clock", timeout=10))
        assert datetime.fromisoformat(answer["now"]).tzinfo is not None


def test_a_second_server_on_the_same_park_is_refused(folder):
    with running(folder), pytest.raises(LedgerError) as refused:
        serve(folder, Options(port=0), say=lambda _: None)
    assert refused.value.code == "ledger.locked"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (Options(host="0.0.0.0", guest="operator"), "server.guest_far"),
        (Options(guest="admin"), "server.bad_guest"),
        (Options(mqtt="broker"), "server.bad_broker"),
    ],
)
def test_options_that_make_no_sense_are_named(folder, options, code):
    with pytest.raises(RequestError) as refused:
        serve(folder, options, say=lambda _: None)
    assert refused.value.code == code


def test_a_port_that_is_taken_is_named(folder):
    with running(folder) as (url, _, _), pytest.raises(RequestError) as refused:
        serve(folder, Options(port=int(url.rpartition(":")[2])), say=lambda _: None)
    assert refused.value.code == "server.port_taken"


def test_settings_that_cannot_be_read_are_named(folder, tmp_path):
    for text in ("access: [1]", "acess: {}", "access: {", "access: {api_rate: none}"):
        path = tmp_path / "settings.yaml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(mg.errors.MangroveError):
            serve(folder, Options(port=0, settings=path), say=lambda _: None)


def test_a_server_that_is_away_is_named():
    with pytest.raises(SourceError) as refused:
        Client("http://127.0.0.1:9", "k").now()
    assert refused.value.code == "client.away"
