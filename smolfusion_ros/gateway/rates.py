"""How many requests each client may make: a token bucket for each, for a bounded number of clients."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

MAX_CLIENTS = 1024


class Rates:
    """Token buckets that hold a minute's requests and fill again within one.

    Args:
        per_minute: requests of one client.
        steady_s: a steady clock, seconds.
    """

    def __init__(self, per_minute: int, steady_s: Callable[[], float] = monotonic) -> None:
        self._capacity = float(per_minute)
        self._per_s = per_minute / 60.0
        self._steady_s = steady_s
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def wait_s(self, client: str) -> float:
        """Count a request: 0 where it may pass, else the seconds after which one may.

        Where there are too many clients, the one that has been silent for the longest time is forgotten.
        """
        now_s = self._steady_s()
        left, at_s = self._buckets.pop(client, (self._capacity, now_s))
        left = min(self._capacity, left + (now_s - at_s) * self._per_s)
        allowed = left >= 1.0
        self._buckets[client] = (left - 1.0 if allowed else left, now_s)
        if len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1.0 - left) / self._per_s


def client_of(address: str) -> str:
    """Who a request comes from: an IPv4 address, or the /64 network that one IPv6 customer owns."""
    try:
        parsed = ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return address
    if parsed.version == 6 and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed.ipv4_mapped if parsed.version == 6 else parsed)
