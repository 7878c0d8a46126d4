"""Every error has a code of its own, an HTTP status, and survives the wire."""

from __future__ import annotations

from personae.errors import InternalError, PersonaeError, all_errors, from_wire


def test_codes_are_distinct_and_statuses_are_errors():
    kinds = list(all_errors())
    assert len(kinds) > 15
    assert len({kind.code for kind in kinds}) == len(kinds)
    assert all(400 <= kind.http_status < 600 for kind in kinds)


def test_each_error_comes_back_from_the_wire_as_itself():
    for kind in all_errors():
        sent = kind.__new__(kind)
        PersonaeError.__init__(sent, "A sentence.", retry_after_seconds=3)
        back = from_wire(sent.to_wire())
        assert type(back) is kind
        assert str(back) == "A sentence."
        assert back.retry_after_seconds == 3


def test_an_unknown_code_is_an_internal_error():
    back = from_wire({"code": "from_the_future", "message": "Hm."})
    assert type(back) is InternalError and str(back) == "Hm."
