# SPDX-License-Identifier: Apache-2.0
"""The files of the broker: configuration, access list, users and their passwords.

Comes in: a folder and, when there are devices, the territory. Goes out: `mosquitto.conf`, `mosquitto.acl`, `passwords` (hashes, for the
broker) and `credentials.csv` (the passwords themselves, readable by the owner only, to be carried to the devices and then deleted).
Each MQTT device is a user that may write the topics of its points and what lies below `mg/<its id>/`, and nothing else. Written
again, users keep their passwords; new devices get one; devices that left are locked out.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import secrets
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from string import Template

from mangrove.errors import RequestError
from mangrove.sources import mqtt_points, mqtt_swap
from mangrove.territory.devices import READER, topic_of
from mangrove.territory.model import Point, Territory

ITERATIONS = 10_000
"""Rounds of PBKDF2: a password here has 192 random bits, so they need not slow down guessing; each connection pays for them."""
_PASSWORD_BYTES, _SALT_BYTES = 24, 12
_OWNER_ONLY = 0o600
_SPARKPLUG_WRITES = ("NBIRTH", "NDATA", "NDEATH", "DBIRTH", "DDATA", "DDEATH")


def broker_files(
    folder: Path,
    territory: Territory | None = None,
    port: int = 1883,
    *,
    tls_port: int | None = None,
    anonymous: bool | None = None,
    keys: Mapping[str, str] | None = None,
) -> Path:
    """Writes the files of a Mosquitto broker; start it with `mosquitto -c <the path that is returned>`.

    Args:
        folder: where they go; the broker keeps its sessions there too.
        territory: its MQTT devices are the users. Without it only this machine may connect, without a password.
        port: of the listener on the loopback interface.
        tls_port: of a listener for the plant network, with `server.crt` and `server.key` in `folder`; None: there is none.
        anonymous: whether the loopback listener asks for no password; by default only without a territory.
        keys: hashed passwords of devices that have an API key: the key opens the broker too.

    Raises:
        RequestError: `mqtt.tls_needs_users`: a listener for the network without a territory would let nobody in.
    """
    if tls_port is not None and territory is None:
        raise RequestError("mqtt.tls_needs_users")
    folder.mkdir(parents=True, exist_ok=True)
    open_ = territory is None if anonymous is None else anonymous
    settings = {"port": str(port), "folder": str(folder.resolve())}
    users = "allow_anonymous true" if open_ else _text("users").substitute(settings)
    network = ""
    if tls_port is not None:
        network = _text("tls").substitute(settings, tls_port=str(tls_port))
    if territory is not None:
        _write_private(folder / "mosquitto.acl", access_list(territory))
        write_users(folder, [READER, *_devices(territory)], keys or {})
    path = folder / "mosquitto.conf"
    path.write_text(_text("conf").substitute(settings, users=users, tls=network), encoding="utf-8")
    return path


def access_list(territory: Territory) -> str:
    """Who may write and read what, in Mosquitto's own form."""
    points: dict[str, list[Point]] = {device: [] for device in _devices(territory)}
    for point in mqtt_points.points(territory):
        points[point.device].append(point)
    asked = mqtt_points.Routes(territory).subscriptions()
    lines = [
        "# Written by Mangrove from devices.csv and points.csv; write it again after changing them.",
        f"user {READER}",
        *(f"topic read {topic}" for topic in asked),
    ]
    nodes = {_levels(point)[1:4:2] for point in _all(points) if mqtt_points.form_of(point) == "sparkplug"}
    lines += [f"topic write spBv1.0/{group}/NCMD/{node}" for group, node in sorted(nodes)]
    lines += [f"topic write {mqtt_swap.set_topic(device)}" for device in points]
    for device, its in points.items():
        lines += ["", f"user {device}", *dict.fromkeys(_writes(device, its))]
        lines += [f"topic read {topic}" for topic in dict.fromkeys(_reads(device, its))]
    return "\n".join(lines) + "\n"


def _writes(device: str, points: Iterable[Point]) -> Iterable[str]:
    yield f"topic write mg/{device}/#"
    for point in points:
        levels = _levels(point)
        if mqtt_points.form_of(point) == "sparkplug":
            space, group, _, node, *below = levels
            for kind in _SPARKPLUG_WRITES:
                if kind.startswith("N"):
                    yield f"topic write {space}/{group}/{kind}/{node}"
                elif below:
                    yield f"topic write {space}/{group}/{kind}/{node}/{below[0]}"
        elif levels[:2] != ("mg", device):
            yield f"topic write {'/'.join(levels)}"


def _reads(device: str, points: Iterable[Point]) -> Iterable[str]:
    yield mqtt_swap.set_topic(device)
    for point in points:
        if mqtt_points.form_of(point) == "sparkplug":
            _, group, _, node, *_ = _levels(point)
            yield f"spBv1.0/{group}/NCMD/{node}"


def write_users(folder: Path, users: Iterable[str], keys: Mapping[str, str]) -> None:
    """Passwords for `users`: the key of a device that has one; else what it had before, or a random one; all others are removed."""
    hashes = _read_hashes(folder / "passwords") | dict(keys)
    plain = {user: word for user, word in _read_plain(folder / "credentials.csv").items() if user not in keys}
    kept: dict[str, str] = {}
    for user in users:
        if user not in hashes:
            plain[user] = secrets.token_urlsafe(_PASSWORD_BYTES)
            hashes[user] = hashed(plain[user])
        kept[user] = hashes[user]
    _write_private(folder / "passwords", "".join(f"{user}:{value}\n" for user, value in kept.items()))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["user", "password"])
    writer.writerows([user, plain[user]] for user in kept if user in plain)
    _write_private(folder / "credentials.csv", buffer.getvalue())


def hashed(password: str, salt: bytes | None = None, iterations: int = ITERATIONS) -> str:
    """A password as Mosquitto 2 stores it: `$7$rounds$salt$key`, PBKDF2 with HMAC-SHA-512 and 64 bytes of key.

    Example:
        >>> hashed("x", b"0123456789ab", 101).split("$")[1:4]
        ['7', '101', 'MDEyMzQ1Njc4OWFi']
    """
    salt = secrets.token_bytes(_SALT_BYTES) if salt is None else salt
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations)
    return f"$7${iterations}${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}"


def password_of(folder: Path, user: str = READER) -> str | None:
    """The password of a user while `credentials.csv` still holds it."""
    return _read_plain(folder / "credentials.csv").get(user)


def _devices(territory: Territory) -> list[str]:
    return [one.id for one in territory.devices.values() if one.protocol == "mqtt"]


def _all(points: Mapping[str, list[Point]]) -> Iterable[Point]:
    for its in points.values():
        yield from its


def _levels(point: Point) -> tuple[str, ...]:
    return tuple(topic_of(point.address)[0].split("/"))


def _read_hashes(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    pairs = (line.partition(":") for line in path.read_text(encoding="utf-8").splitlines() if ":" in line)
    return {user: value for user, _, value in pairs}


def _read_plain(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {row["user"]: row["password"] for row in csv.DictReader(file)}


def _write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner can read, from the first byte on, and replaces the old one at once."""
    beside = path.with_name(path.name + ".new")
    beside.unlink(missing_ok=True)
    number = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    with os.fdopen(number, "w", encoding="utf-8") as file:
        file.write(text)
    beside.replace(path)


def _shipped(name: str) -> str:
    return (resources.files("mangrove.sources") / name).read_text(encoding="utf-8")


def _text(part: str) -> Template:
    """A part of the shipped configuration: the whole file, or the lines of one kind of listener."""
    name = {"conf": "mosquitto.conf", "users": "mosquitto.users", "tls": "mosquitto.tls"}[part]
    return Template(_shipped(name))
