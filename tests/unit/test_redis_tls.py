"""What a rediss:// URL becomes for Celery and for redis-py."""

import pytest

from config.settings import load


@pytest.mark.parametrize(("word", "wanted"), [("true", "required"), ("false", "none")])
def test_both_clients_are_told_the_same(word, wanted):
    settings = load({"REDIS_URL": "rediss://:pw@h:1/0", "REDIS_TLS_VERIFY": word})
    assert settings.broker == settings.redis == f"rediss://:pw@h:1/0?ssl_cert_reqs={wanted}"


def test_a_url_that_says_it_itself_is_left_alone():
    settings = load({"REDIS_URL": "rediss://h:1/0?ssl_cert_reqs=optional"})
    assert settings.redis == "rediss://h:1/0?ssl_cert_reqs=optional"


def test_plain_and_socket_urls_get_nothing():
    assert load({"REDIS_URL": "redis://h:1/0"}).redis == "redis://h:1/0"
    assert load({"REDIS_URL": "unix:///run/v.sock?db=0"}).broker == "redis+socket:///run/v.sock?virtual_host=0"
