"""A stand-in for Elasticsearch: / and /_cluster/health, under the process name java.

Usage: elasticsearch.py ADDRESS PORT
"""

import ctypes
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PR_SET_NAME = 15
PAGES = {
    "/": {"name": os.uname().nodename, "cluster_name": "edx", "version": {"number": "7.10.2-stand-in"}},
    "/_cluster/health": {"cluster_name": "edx", "status": "yellow", "number_of_nodes": 1, "active_shards": 5},
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        page = PAGES.get(self.path.partition("?")[0])
        body = json.dumps(page or {"error": "not found", "status": 404}).encode()
        self.send_response(200 if page else 404)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(PR_SET_NAME, b"java", 0, 0, 0)
    ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
