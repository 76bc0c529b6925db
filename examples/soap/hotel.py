"""A service of SOAP 1.1, as the example's WSDL describes it: ``python hotel.py`` listens on 127.0.0.1:8081."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
HOTEL = "{urn:example:hotel}"

RESERVED = """<h:ReserveResponse xmlns:h="urn:example:hotel"><h:number>4711</h:number>
<h:price currency="CHF">{price:.2f}</h:price><h:rooms>12</h:rooms><h:breakfast>true</h:breakfast></h:ReserveResponse>"""
REFUSED = """<s:Fault><faultcode>s:Client.RoomNotFree</faultcode><faultstring>The room is taken</faultstring>
<detail><h:RoomNotFree xmlns:h="urn:example:hotel"><h:until>2026-03-02</h:until></h:RoomNotFree></detail></s:Fault>"""


class Hotel(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        envelope = ET.fromstring(self.rfile.read(int(self.headers["content-length"])))
        call = envelope.find(f"{{{SOAP}}}Body/{HOTEL}Reserve")
        if self.path != "/soap/hotel" or call is None or envelope.find(f"{{{SOAP}}}Header") is None:
            self.answer(
                500, "<s:Fault><faultcode>s:Server</faultcode><faultstring>not understood</faultstring></s:Fault>"
            )
        elif call.findtext(f"{HOTEL}from") == "2026-03-01":
            self.answer(500, REFUSED)
        else:
            price = int(call.findtext(f"{HOTEL}nights") or 0) * len(call.findall(f"{HOTEL}guests")) * 99.9
            self.answer(200, RESERVED.format(price=price))

    def answer(self, status: int, body: str) -> None:
        content = f'<s:Envelope xmlns:s="{SOAP}"><s:Body>{body}</s:Body></s:Envelope>'.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/xml; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", 8081), Hotel).serve_forever()
