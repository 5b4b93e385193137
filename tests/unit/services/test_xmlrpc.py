"""XML-RPC: what the standard library writes we read, what it reads we write; hostile answers are refused."""

from __future__ import annotations

import xmlrpc.client

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edxconsole.errors import ServiceFault, ServiceUnavailable
from edxconsole.services.xmlrpc import decode_response, encode_call

TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff")
)
INT32 = st.integers(-(2**31), 2**31 - 1)
SCALARS = TEXT | INT32 | st.booleans()
VALUES = st.recursive(
    SCALARS, lambda v: st.lists(v, max_size=4) | st.dictionaries(TEXT, v, max_size=4), max_leaves=12
)


@given(VALUES)
def test_reads_what_the_standard_library_writes(value: object) -> None:
    body = xmlrpc.client.dumps((value,), methodresponse=True)  # type: ignore[arg-type]
    assert decode_response(body.encode()) == value


@given(st.lists(SCALARS, max_size=3))
def test_the_standard_library_reads_what_we_write(params: list[str | bool | int]) -> None:
    read, method = xmlrpc.client.loads(encode_call("supervisor.getProcessInfo", tuple(params)))
    assert (method, list(read)) == ("supervisor.getProcessInfo", params)


def test_a_fault_has_its_number() -> None:
    body = xmlrpc.client.dumps(xmlrpc.client.Fault(10, "BAD_NAME: \x1b[31mlms"), methodresponse=True)
    with pytest.raises(ServiceFault) as fault:
        decode_response(body.replace("\x1b", "").encode())
    assert fault.value.code == 10
    assert fault.value.cause == "BAD_NAME: [31mlms"


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    "<methodResponse><params><param><value>&b;</value></param></params></methodResponse>"
)
FILE = BOMB.replace('<!ENTITY a "aaaaaaaaaa">', '<!ENTITY a SYSTEM "file:///etc/passwd">')
DEEP = (
    "<methodResponse><params><param>"
    + "<value><array><data>" * 40
    + "</data></array></value>" * 40
    + "</param></params></methodResponse>"
)


@pytest.mark.parametrize(
    "body",
    [
        BOMB.encode(),
        FILE.encode(),
        BOMB.encode("utf-16"),
        DEEP.encode(),
        b"",
        b"<html>502 Bad Gateway</html>",
        b"<methodResponse><params>",
        b"<methodResponse><params/></methodResponse>",
        b"<methodResponse><params><param><value><int>x</int></value></param></params></methodResponse>",
        b"<methodResponse><params><param><value><int>"
        + b"9" * 9000
        + b"</int></value></param></params></methodResponse>",
        b"<methodResponse><params><param><value>\x00</value></param></params></methodResponse>",
        b"\xff\xfe\x00",
    ],
    ids=["bomb", "file", "utf16", "deep", "empty", "html", "cut", "none", "int", "huge", "nul", "bytes"],
)
def test_a_hostile_or_broken_answer_is_refused(body: bytes) -> None:
    with pytest.raises(ServiceUnavailable):
        decode_response(body)


@given(st.binary(max_size=300))
def test_no_bytes_at_all_lead_to_another_exception(body: bytes) -> None:
    with pytest.raises((ServiceUnavailable, ServiceFault)):
        decode_response(body)
