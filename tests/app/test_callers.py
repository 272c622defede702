"""Whose requests are counted together, where an address is all that is known of who asks."""

import pytest

from tests.conftest import Start

pytestmark = pytest.mark.slow

KEY = "k" * 16


def test_a_limit_counts_all_addresses_of_one_subscriber(start_small: Start) -> None:
    """Who has one address of IPv6 has 2^64 of them."""
    server = start_small(rate_limit=1, forwarded_allow_ips="127.0.0.1")
    server.wait_ready()

    def asked(address: str) -> int:
        with server.client() as http_:
            return http_.post("/colorize", headers={"x-forwarded-for": address}).status_code

    assert [asked(f"2001:db8::{n}") for n in (1, 2, "ffff:1")] == [422, 429, 429]
    assert asked("2001:db8:0:1::1") == 422
    assert [asked(each) for each in ("::ffff:192.0.2.1", "192.0.2.1", "192.0.2.2")] == [
        422, 429, 422,
    ]  # fmt: skip


def test_who_may_name_any_address_is_told_of(start_small: Start) -> None:
    said = "whoever asks may name any address"
    for settings, warned in (
        ({"rate_limit": 1}, True),
        ({"rate_limit": 1, "api_keys": KEY}, False),
        ({}, False),
    ):
        server = start_small(forwarded_allow_ips="*", **settings)
        server.wait_for("/healthz")
        assert (said in server.log.read_text()) == warned
