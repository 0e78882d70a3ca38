"""What must arrive waits for its acknowledgement, up to a bound."""

from __future__ import annotations

from pipeline.home.outbox import MAX_IN_FLIGHT, Message, Outbox


class Client:
    """Takes messages, and gives each the next number; a full one gives none."""

    def __init__(self) -> None:
        self.taken: list[Message] = []
        self.full = False

    def send(self, message: Message) -> int | None:
        if self.full:
            return None
        self.taken.append(message)
        return len(self.taken)


def message(n: int) -> Message:
    return "a", str(n).encode()


def test_a_few_are_in_flight_and_the_rest_follows_their_acknowledgement() -> None:
    client = Client()
    outbox = Outbox(100, client.send)
    for n in range(MAX_IN_FLIGHT + 5):
        outbox.put(message(n))
    outbox.step(connected=False)
    assert client.taken == []
    outbox.step(connected=True)
    assert client.taken == [message(n) for n in range(MAX_IN_FLIGHT)]
    for number in (1, 2, 3, 999):  # the last is of another
        outbox.acknowledge(number)
    outbox.step(connected=True)
    assert len(client.taken) == MAX_IN_FLIGHT + 3
    assert (len(outbox), outbox.n_acknowledged) == (MAX_IN_FLIGHT + 2, 3)


def test_what_the_client_does_not_take_waits_on() -> None:
    client = Client()
    outbox = Outbox(100, client.send)
    outbox.put(message(1))
    client.full = True
    outbox.step(connected=True)
    assert len(outbox) == 1
    client.full = False
    outbox.step(connected=True)
    assert client.taken == [message(1)]


def test_a_full_one_drops_the_oldest_and_counts_it() -> None:
    client = Client()
    outbox = Outbox(3, client.send)
    for n in range(5):
        outbox.put(message(n))
    outbox.step(connected=True)
    assert client.taken == [message(2), message(3), message(4)]
    assert outbox.n_dropped == 2
