import pytest

from retrieval.web.public_hosts import refusal


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "168.63.129.17",
        "2606:4700:4700::1111",
        "64:ff9b::808:808",
        "::ffff:8.8.8.8",
        "2002:808:808::1",
    ],
)
def test_a_public_address_may_be_asked(address: str) -> None:
    assert refusal(address) is None


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("0.0.0.0", "this machine"),
        ("127.0.0.1", "this machine"),
        ("127.255.255.254", "this machine"),
        ("10.0.0.1", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("169.254.169.254", "link-local"),
        ("100.64.0.1", "shared by a provider's customers"),
        ("100.100.100.200", "shared by a provider's customers"),
        ("168.63.129.16", "a cloud's metadata address"),
        ("192.0.0.192", "reserved"),
        ("198.18.0.1", "for measurements"),
        ("203.0.113.7", "for documentation"),
        ("224.0.0.1", "multicast"),
        ("255.255.255.255", "reserved"),
        ("::", "reserved"),
        ("::1", "this machine"),
        ("fe80::1", "link-local"),
        ("2606:4700::1%eth0", "link-local"),
        ("fd00:ec2::254", "private"),
        ("ff02::1", "multicast"),
        ("2001:db8::1", "for documentation"),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "reserved"),
        ("4000::1", "reserved"),
        ("::7f00:1", "reserved"),
        ("::ffff:127.0.0.1", "this machine"),
        ("::ffff:0:7f00:1", "this machine"),
        ("::ffff:169.254.169.254", "link-local"),
        ("64:ff9b::7f00:1", "this machine"),
        ("64:ff9b::a9fe:a9fe", "link-local"),
        ("64:ff9b:1::7f00:1", "reserved"),
        ("2002:7f00:1::", "this machine"),
        ("2002:c0a8:101::1", "private"),
        ("localhost", "no address"),
    ],
)
def test_an_address_that_is_or_leads_to_something_near_may_not(address: str, what: str) -> None:
    assert refusal(address) == what
