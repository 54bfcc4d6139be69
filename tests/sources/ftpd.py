"""pyftpdlib's server on loopback for tests."""

import contextlib
import socket
import ssl
import threading
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # it stands on asyncore where Python still has it
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import FTPHandler
    from pyftpdlib.ioloop import IOLoop
    from pyftpdlib.servers import FTPServer


class Ftp:
    """A server for a folder; `with Ftp(folder) as ftp: ftp.port`. `received` lists the names of stored files in order."""

    def __init__(self, folder, *, port=0, user="station", password="tide", certificate=None):
        self.folder, self.port, self.certificate = folder, port, certificate
        self.user, self.password = user, password
        self.received = []

    def __enter__(self):
        authorizer = DummyAuthorizer()
        authorizer.add_user(self.user, self.password, str(self.folder), perm="elradfmwMT")
        received = self.received

        class Handler(FTPHandler):
            def on_file_received(self, file):
                received.append(file.rsplit("/", 1)[-1].removesuffix(".part"))

        Handler.authorizer = authorizer
        Handler.passive_ports = None
        Handler.auth_failed_timeout = 0
        self.loop = IOLoop()
        self.server = FTPServer(("127.0.0.1", self.port), Handler, ioloop=self.loop)
        self.port = self.server.address[1]
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        return self

    def _run(self):
        while not self.ended.is_set():
            self.server.serve_forever(timeout=0.02, blocking=False, handle_exit=False)
        self.server.close_all()

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join(10)

    def address(self, scheme="ftp"):
        return f"{scheme}://{self.user}@127.0.0.1:{self.port}/"


class FtpTls:
    """A server for one client at a time that speaks explicit TLS (RFC 4217) on both connections, as few commands as that needs."""

    def __init__(self, folder, certificate):
        self.folder = folder
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate)

    def __enter__(self):
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        self.thread.join(10)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listening.accept()
                with contextlib.suppress(OSError, ValueError), client:
                    client.settimeout(10)
                    self._talk(client)

    def _talk(self, client):
        client.sendall(b"220 ready\r\n")
        lines, secure, renamed, data = client.makefile("rb"), client, "", None
        try:
            while line := lines.readline().decode().strip():
                word, _, rest = line.partition(" ")
                if word == "AUTH":
                    client.sendall(b"234 go\r\n")
                    lines.close()
                    secure = self.context.wrap_socket(client, server_side=True)
                    lines = secure.makefile("rb")
                    continue
                if secure is client:  # nothing is said in the clear
                    client.sendall(b"530 TLS first\r\n")
                    continue
                if word == "PASV":
                    data = socket.create_server(("127.0.0.1", 0))
                    high, low = divmod(data.getsockname()[1], 256)
                    secure.sendall(f"227 ok (127,0,0,1,{high},{low})\r\n".encode())
                    continue
                if word in ("STOR", "RETR", "MLSD"):
                    secure.sendall(b"150 go\r\n")
                    self._transfer(data, word, rest)
                if word == "RNTO":
                    (self.folder / renamed).replace(self.folder / rest)
                renamed = rest if word == "RNFR" else renamed
                codes = {
                    "USER": 331,
                    "PASS": 230,
                    "RNFR": 350,
                    "QUIT": 221,
                    "STOR": 226,
                    "RETR": 226,
                    "MLSD": 226,
                }
                secure.sendall(
                    f"{codes.get(word, 200 if word in ('PBSZ', 'PROT', 'TYPE') else 250)} ok\r\n".encode()
                )
        finally:
            lines.close()
            secure.close()

    def _transfer(self, listening, word, name):
        raw, _ = listening.accept()
        listening.close()
        with self.context.wrap_socket(raw, server_side=True) as data:
            if word == "STOR":
                body = b""
                with contextlib.suppress(ssl.SSLError):
                    while piece := data.recv(65536):
                        body += piece
                (self.folder / name).write_bytes(body)
            elif word == "RETR":
                data.sendall((self.folder / name).read_bytes())
            else:
                for path in self.folder.iterdir():
                    facts = f"type=file;size={path.stat().st_size};modify=20260601050000; {path.name}"
                    data.sendall(facts.encode() + b"\r\n")
            with contextlib.suppress(OSError):
                data.unwrap()
