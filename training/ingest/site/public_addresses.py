"""The guard against being led into a private network.

A page may link or redirect to `http://192.168.0.1/` or to a name that resolves to the cloud's metadata
service. So every name is resolved here, every address it has is checked, and the connection goes to the
addresses that were checked: the name is not looked up a second time. In: a host. Out: addresses to connect
to, or `PrivateAddress`. Knows nothing of pages.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable

from aiohttp.abc import AbstractResolver, ResolveResult

AddressAllowed = Callable[[str], bool]
"""Told an IP address as text; whether a connection to it may be made."""
LookUp = Callable[[str, int, socket.AddressFamily], Awaitable[list[tuple[int, str]]]]
"""Host, port and family to (family, address) pairs."""

_METADATA = {ipaddress.ip_address("168.63.129.16")}
"""Azure's wire server, the one metadata service with an address of the public range."""
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""IPv4 as networks with IPv6 alone see it (NAT64)."""


class PrivateAddress(OSError):
    """The host is, or resolves to, an address that is not of the public internet."""


def is_public(address: str) -> bool:
    """False for loopback, private, link-local, shared, multicast, reserved and metadata addresses, also in
    their IPv6 disguises."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        if ip in _TRANSLATED:
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
        if ip.sixtofour is not None or ip.teredo is not None or ip.is_site_local:
            return False
    return (
        ip.is_global
        and not ip.is_multicast
        and not ip.is_reserved
        and not ip.is_unspecified
        and ip not in _METADATA
    )


async def system_look_up(
    host: str, port: int, family: socket.AddressFamily
) -> list[tuple[int, str]]:
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, family=family, type=socket.SOCK_STREAM
    )
    return [(int(entry[0]), str(entry[4][0])) for entry in found]


class GuardedResolver(AbstractResolver):
    """Resolves for aiohttp, which then connects to what it is given here. One bad address of a host refuses
    all of them: honest hosts have none."""

    def __init__(self, allowed: AddressAllowed, look_up: LookUp = system_look_up) -> None:
        self._allowed = allowed
        self._look_up = look_up

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._look_up(host, port, family)
        for _family, address in found:
            self.check(host, address)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=found_family,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for found_family, address in found
        ]

    def check(self, host: str, address: str) -> None:
        if not self._allowed(address):
            raise PrivateAddress(f"{host} leads to {address}, which is not a public address")

    def check_literal(self, host: str) -> None:
        """A host that is written as an address is not resolved by aiohttp, so it is checked here.

        For aiohttp everything of digits and dots is one, also `2130706433` and `0177.0.0.1`, which the
        system takes for 127.0.0.1; nothing honest is written like that.

        Raises:
            PrivateAddress: it may not be connected to.
        """
        if ":" not in host and not host.replace(".", "").isdigit():
            return
        try:
            address = str(ipaddress.ip_address(host))
        except ValueError:
            raise PrivateAddress(f"{host} is an address in disguise") from None
        self.check(host, address)

    async def close(self) -> None:
        pass
