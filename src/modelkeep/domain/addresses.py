"""Which addresses on the network we may connect to on somebody's word."""

import ipaddress
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Written out instead of `is_global`, whose meaning differs between versions of Python. From the
# IANA registries of special-purpose addresses.
_CLOSED_IPV4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
        ),
    )
)
_PUBLIC_IPV6 = ipaddress.IPv6Network("2000::/3")
_CLOSED_IPV6 = tuple(
    map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_IPV4_MASK = 0xFFFF_FFFF


def is_public(address: Address) -> bool:
    """Whether that is an address of the public internet: nothing local, private or special."""
    plain = unwrapped(address)
    if isinstance(plain, ipaddress.IPv4Address):
        return not any(plain in network for network in _CLOSED_IPV4)
    return plain in _PUBLIC_IPV6 and not any(plain in network for network in _CLOSED_IPV6)


def is_allowed(address: Address, allowed: Iterable[Network]) -> bool:
    """Whether it is public or in one of these networks."""
    plain = unwrapped(address)
    return is_public(plain) or any(plain in network for network in allowed)


def unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv4-mapped or NAT64 one leads to; any other as it is."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & _IPV4_MASK)
    return address


def literal(host: str) -> Address | None:
    """The address that a URL's host spells in the usual way; None for a name, or odd spellings."""
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Whether a host, as a URL or a listening address names it, is this machine only."""
    address = literal(host)
    return unwrapped(address).is_loopback if address is not None else host == "localhost"
