"""XML-RPC: encode a call, decode an answer that may be hostile. No I/O.

The standard library's own parser expands entities and goes through a slower expat target; an
ElementTree walk takes half the time (services.md section 1.1) and refuses anything with a DTD.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element, ParseError, XMLParser
from xml.sax.saxutils import escape

from edxconsole.cluster.text import clean_line
from edxconsole.errors import ServiceFault, ServiceUnavailable

MAX_DEPTH = 16

Value = None | bool | int | float | str | list["Value"] | dict[str, "Value"]


def encode_call(method: str, params: tuple[str | bool | int, ...]) -> bytes:
    """The body of a methodCall; supervisor needs strings, booleans and integers only."""
    body = "".join(f"<param><value>{_encode(p)}</value></param>" for p in params)
    call = f"<methodName>{method}</methodName><params>{body}</params>"
    return f"<?xml version='1.0'?><methodCall>{call}</methodCall>".encode()


def _encode(value: str | bool | int) -> str:
    if isinstance(value, bool):
        return f"<boolean>{int(value)}</boolean>"
    if isinstance(value, int):
        return f"<int>{value}</int>"
    return f"<string>{escape(value)}</string>"


def decode_response(body: bytes) -> Value:
    """The value of a methodResponse.

    Raises:
        ServiceFault: the server answered with a fault; `code` is its number.
        ServiceUnavailable: it is not XML-RPC (or holds a DTD, or is nested too deep).
    """
    root = _parse(body)
    if root.tag != "methodResponse":
        raise ServiceUnavailable("what answers there does not speak XML-RPC")
    fault = root.find("fault/value")
    if fault is not None:
        raise _fault(_decode(fault, 0))
    value = root.find("params/param/value")
    if value is None:
        raise ServiceUnavailable("an XML-RPC answer without a value")
    return _decode(value, 0)


def _parse(body: bytes) -> Element:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ServiceUnavailable("an XML-RPC answer that is not UTF-8") from error
    # XML-RPC has no use for <! at all: no DTD, hence no entities to expand or to fetch.
    if "<!" in text:
        raise ServiceUnavailable("an XML-RPC answer with a document type, which was refused")
    parser = XMLParser()
    try:
        parser.feed(text)
        return parser.close()
    except (ParseError, ValueError) as error:
        raise ServiceUnavailable("an answer that is not well-formed XML") from error


def _fault(value: Value) -> ServiceFault:
    if not isinstance(value, dict):
        return ServiceFault("a fault without a description")
    code, text = value.get("faultCode"), value.get("faultString")
    return ServiceFault(
        clean_line(text) if isinstance(text, str) else "a fault without a description",
        code=code if isinstance(code, int) else None,
    )


def _decode(value: Element, depth: int) -> Value:
    if depth > MAX_DEPTH:
        raise ServiceUnavailable("an XML-RPC answer that is nested too deep")
    kind = value[0] if len(value) else None
    if kind is None:
        return value.text or ""
    match kind.tag:
        case "struct":
            return {
                m.findtext("name", ""): _decode(m[1], depth + 1)
                for m in kind
                if m.tag == "member" and len(m) == 2
            }
        case "array":
            return [_decode(item, depth + 1) for item in kind.iterfind("data/value")]
        case "nil":
            return None
        case tag:
            return _scalar(tag, kind.text or "")


def _scalar(tag: str, text: str) -> Value:
    try:
        match tag:
            case "int" | "i4" | "i8":
                return int(text)
            case "boolean":
                return text.strip() == "1"
            case "double":
                return float(text)
            case _:
                return text
    except ValueError as error:
        raise ServiceUnavailable("a number in an XML-RPC answer that is none") from error
