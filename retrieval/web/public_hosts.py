"""Says which internet addresses may be asked for a document: public ones, and no address that leads to others.

It resolves nothing and connects to nothing. The ranges are IANA's special-purpose registries for IPv4 and IPv6
(www.iana.org/assignments, RFC 6890 and its updates), written out because `ipaddress` judges some of them differently
from one Python version to the next.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_CLOUD_METADATA = "a cloud's metadata address"
_V4 = {
    "0.0.0.0/8": "this machine",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "shared by a provider's customers",
    "127.0.0.0/8": "this machine",
    "168.63.129.16/32": _CLOUD_METADATA,  # Azure's, in the midst of public ones
    "169.254.0.0/16": "link-local",  # most clouds' metadata is 169.254.169.254
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "reserved",
    "192.0.2.0/24": "for documentation",
    "192.88.99.0/24": "a relay to others",
    "192.168.0.0/16": "private",
    "198.18.0.0/15": "for measurements",
    "198.51.100.0/24": "for documentation",
    "203.0.113.0/24": "for documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",
}
_V6 = {
    "2001::/23": "reserved",  # Teredo among them, which hides an IPv4 address
    "2001:db8::/32": "for documentation",
    "3fff::/20": "for documentation",
    "::1/128": "this machine",
    "fc00::/7": "private",
    "fe80::/10": "link-local",
    "ff00::/8": "multicast",
}
_V4_RANGES = [(IPv4Network(network), what) for network, what in _V4.items()]
_V6_RANGES = [(IPv6Network(network), what) for network, what in _V6.items()]
_V6_GLOBAL = IPv6Network("2000::/3")
# Where an IPv6 address carries an IPv4 one that is asked in its place, and how many bits stand behind that.
_CARRIERS = [
    (IPv6Network("::ffff:0:0/96"), 0),  # IPv4-mapped
    (IPv6Network("::ffff:0:0:0/96"), 0),  # IPv4-translated
    (IPv6Network("64:ff9b::/96"), 0),  # NAT64
    (IPv6Network("2002::/16"), 80),  # 6to4
]


def refusal(address: str) -> str | None:
    """Return why an IP address may not be asked, in a word or two; None for a public one."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "no address"
    if isinstance(parsed, IPv4Address):
        return _refusal_v4(parsed)
    if parsed.scope_id is not None:
        return "link-local"
    for network, behind in _CARRIERS:
        if parsed in network:
            return _refusal_v4(IPv4Address((int(parsed) >> behind) & 0xFFFF_FFFF))
    return _refusal_v6(parsed)


def _refusal_v4(address: IPv4Address) -> str | None:
    return next((what for network, what in _V4_RANGES if address in network), None)


def _refusal_v6(address: IPv6Address) -> str | None:
    what = next((what for network, what in _V6_RANGES if address in network), None)
    return what or (None if address in _V6_GLOBAL else "reserved")
