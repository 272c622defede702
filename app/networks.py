"""Addresses of the network: what a host is written as, and by which of them one caller is known."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

_LONGEST_NAME = 100
_OWN_BITS = 64
"""Of an IPv6 address, those that tell one subscriber from others: each has all the rest."""


def ip_of(host: str) -> IPv4Address | IPv6Address | None:
    """The address that a host is written as, IPv4 in IPv6 as IPv4; None for a name."""
    try:
        found = ip_address(host)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def network(host: str) -> str:
    """Whoever has this address, by all that one may take: IPv4 as it is, of IPv6 the network."""
    found = ip_of(host)
    if found is None:  # as a proxy may have it
        return host[:_LONGEST_NAME]
    if isinstance(found, IPv4Address):
        return str(found)
    # By its number, without the name of a line.
    return str(IPv6Network((int(found), _OWN_BITS), strict=False))
