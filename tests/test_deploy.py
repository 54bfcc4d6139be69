# SPDX-License-Identifier: Apache-2.0
"""The files for a deployment: units that close what they promise to close and call commands that exist."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import typer

from mangrove.cli import app

DEPLOY = Path(__file__).parent.parent / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))
COMMANDS = typer.main.get_command(app).commands


def unit(path):
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str
    parser.read_string(path.read_text())
    return parser


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_writes_only_its_state_and_gains_no_rights(path):
    service = unit(path)["Service"]
    wanted = {
        "ProtectSystem": "strict",
        "NoNewPrivileges": "yes",
        "ProtectHome": "yes",
        "CapabilityBoundingSet": "",
        "UMask": "0077",
    }
    assert {key: service.get(key) for key in wanted} == wanted
    assert service["StateDirectory"].split()[0] == "mangrove"
    assert service["User"] == "mangrove"


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_the_command_of_a_unit_and_its_options_exist_and_no_secret_is_on_its_line(path):
    line = unit(path)["Service"]["ExecStart"]
    found = re.search(r"/bin/mangrove (\w+)([^']*)", line)
    if found is None:  # the broker's own program
        assert "/mosquitto " in line
        return
    name, words = found.groups()
    known = {option for param in COMMANDS[name].params for option in (*param.opts, *param.secondary_opts)}
    assert set(re.findall(r"(?<= )--[a-z-]+", words)) <= known
    for credential in re.findall(r'cat "\$CREDENTIALS_DIRECTORY/(\w+)"', line):
        assert unit(path)["Service"]["LoadCredential"].startswith(f"{credential}:")


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd-analyze (Debian package systemd)"
)
@pytest.mark.parametrize("path", [*UNITS, *sorted(DEPLOY.glob("*.timer"))], ids=lambda path: path.name)
def test_systemd_knows_every_word_of_a_unit(path):
    done = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, check=False)
    assert not re.search(r"Unknown|Failed to parse|Invalid|ignoring", done.stderr), done.stderr


def test_proxies_keep_the_host_pass_the_true_address_and_do_not_buffer_events():
    nginx = (DEPLOY / "nginx.conf").read_text()
    locations = nginx.split("location ")[1:]
    assert all("proxy_set_header host $host;" in one for one in locations)
    assert all("proxy_set_header x-forwarded-for $remote_addr;" in one for one in locations)
    assert "proxy_buffering off;" in next(one for one in locations if one.startswith("= /events"))
    caddy = (DEPLOY / "Caddyfile").read_text()
    assert "flush_interval -1" in caddy
