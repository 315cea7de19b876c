"""An HTTPS proxy in front of a hub that does what its rule says with each request: so a test stops the world at just the
request it means, without waiting for luck."""

import http.client
import http.server
import ssl
import threading


class SlowProxy:
    """Listens with the hub's own certificate; `rule(method, path)` names what happens to a request:

    pass    it is passed on, and so is the answer
    hold    it is passed on, and the answer is kept until release()
    swallow it is not passed on, and never answered
    """

    def __init__(self, certificate, key, ca, name, upstream_port):
        self.upstream_port, self.rule = upstream_port, lambda method, path: "pass"
        self.seen = threading.Event()  # a request was held or swallowed
        self.released = threading.Event()
        self.name, self._trust = name, ssl.create_default_context(cafile=ca)
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do(self):
                proxy.serve(self)

            do_GET = do_PUT = do_DELETE = do_POST = do_PATCH = do

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def set_rule(self, rule):
        self.seen.clear()
        self.released.clear()
        self.rule = rule

    def release(self):
        self.rule = lambda method, path: "pass"
        self.released.set()

    def serve(self, request):
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        what = self.rule(request.command, request.path)
        if what == "swallow":
            self.seen.set()
            self.released.wait()
            request.close_connection = True
            return
        try:
            status, headers, answer = self._pass_on(request, body)
        except OSError:
            request.close_connection = True  # the hub is down: nothing comes back
            return
        if what == "hold":
            self.seen.set()
            self.released.wait()
        try:
            request.send_response(status)
            for name in ("Content-Type", "ETag", "iothub-errorcode"):
                if headers.get(name):
                    request.send_header(name, headers[name])
            request.send_header("Content-Length", str(len(answer)))
            request.end_headers()
            request.wfile.write(answer)
        except OSError:
            request.close_connection = True  # whoever asked is gone

    def _pass_on(self, request, body):
        hub = http.client.HTTPSConnection("localhost", self.upstream_port, timeout=30, context=self._trust)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in ("host", "content-length")}
        headers["Host"] = request.headers["Host"]
        hub.request(request.command, request.path, body or None, headers)
        answer = hub.getresponse()
        read = answer.read()
        hub.close()
        return answer.status, answer.headers, read
