"""Events: every page hears the latest message, a slow one keeps no queue, and streams end when they must."""

import asyncio
import threading

from mangrove.serve import hub as hubs
from mangrove.serve.hub import Hub


async def opened(hub, alive=lambda: True):
    stream = hub.stream(alive)
    first = await anext(stream)
    return stream, first


def test_every_page_hears_a_message_from_another_thread():
    async def scene():
        hub = Hub()
        hub.bind(asyncio.get_running_loop())
        streams = [(await opened(hub))[0] for _ in range(50)]
        threading.Thread(target=hub.publish, args=("moved", {"cut": 7})).start()
        return [await asyncio.wait_for(anext(stream), 5) for stream in streams]

    heard = asyncio.run(scene())
    assert heard == [b'event: moved\ndata: {"cut": 7}\n\n'] * 50


def test_a_page_that_does_not_read_keeps_only_the_latest():
    async def scene():
        hub = Hub()
        hub.bind(asyncio.get_running_loop())
        stream, _ = await opened(hub)
        for cut in range(1000):
            hub.publish("moved", {"cut": cut})
        await asyncio.sleep(0.05)
        return await anext(stream), [queue.qsize() for queue in hub._streams]

    latest, waiting = asyncio.run(scene())
    assert b"999" in latest
    assert waiting == [0]


def test_a_new_page_begins_with_the_latest_message():
    async def scene():
        hub = Hub()
        hub.bind(asyncio.get_running_loop())
        hub.publish("moved", {"cut": 3})
        return (await opened(hub))[1]

    assert b'"cut": 3' in asyncio.run(scene())


def test_a_closed_page_is_forgotten_and_a_closed_hub_ends_all():
    async def scene():
        hub = Hub()
        hub.bind(asyncio.get_running_loop())
        first, _ = await opened(hub)
        second, _ = await opened(hub)
        await first.aclose()
        left = len(hub)
        hub.close()
        return left, [message async for message in second]

    assert asyncio.run(scene()) == (1, [])


def test_a_stream_ends_when_its_reader_may_read_no_more(monkeypatch):
    monkeypatch.setattr(hubs, "HEARTBEAT", 0.01)

    async def scene():
        hub = Hub()
        hub.bind(asyncio.get_running_loop())
        allowed = [True]
        stream, _ = await opened(hub, lambda: allowed[0])
        beat = await anext(stream)
        allowed[0] = False
        return beat, [message async for message in stream]

    assert asyncio.run(scene()) == (b": here\n\n", [])
