"""The peers: nginx and HAProxy, each with a configuration of its own, which stands in the results as it is here."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from glance import Glance
from processes import Process

DEFAULT_BUFFER, LARGE_BUFFER = 16384, 65536

NGINX = """\
{user}worker_processes auto;
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  default_type application/octet-stream;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  upstream images {{
    server 127.0.0.1:{upstream};
    keepalive 64;
  }}
  server {{
    listen 127.0.0.1:{port};
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_max_temp_file_size 0;
    location = /healthcheck {{ return 200; }}
    location /files/ {{ alias {files}/; }}
    location /tuned/ {{
      alias {files}/;
      tcp_nopush off;
      sendfile_max_chunk 512k;
    }}
    location /read/ {{
      alias {files}/;
      sendfile off;
      output_buffers 2 512k;
    }}
    location /v2/ {{ proxy_pass http://images; }}
    location /large/ {{
      proxy_pass http://images/;
      proxy_buffer_size 64k;
      proxy_buffers 32 64k;
      proxy_busy_buffers_size 512k;
    }}
  }}
}}
"""

HAPROXY = """\
global
  nbthread {threads}
  maxconn 1024
  tune.bufsize {bufsize}
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend front
  bind 127.0.0.1:{port}
  monitor-uri /healthcheck
  default_backend images
backend images
  http-reuse always
  {splice}
  server upstream 127.0.0.1:{upstream}
"""


class Nginx(Process):
    """nginx as a server of the files of one directory, and as a proxy in front of an upstream.

    The files are below /files/ as it is mostly set up, below /tuned/ as it was found to be fastest with many streams,
    and below /read/ without sendfile. It proxies /v2/ with buffers as they are by default, and the same below /large/
    with large ones.
    """

    def __init__(self, directory: Path, port: int, files: Path, upstream: int) -> None:
        super().__init__("nginx", directory, port)
        # Without this its workers would be nobody's, who cannot look into everybody's directories.
        user = "user root;\n" if os.geteuid() == 0 else ""
        self.settings = NGINX.format(user=user, directory=directory, port=port, files=files, upstream=upstream)
        (directory / "nginx.conf").write_text(self.settings)

    def command(self) -> Sequence[str]:
        return ["nginx", "-e", f"{self.directory}/error.log", "-c", f"{self.directory}/nginx.conf"]


class HAProxy(Process):
    """HAProxy as a proxy in front of an upstream.

    With `splice` it lets the kernel move the bytes between the sockets.
    """

    def __init__(self, name: str, directory: Path, port: int, upstream: int, splice: bool) -> None:
        super().__init__(name, directory, port)
        self.settings = HAPROXY.format(
            threads=os.cpu_count(),
            port=port,
            upstream=upstream,
            bufsize=LARGE_BUFFER if splice else DEFAULT_BUFFER,
            splice="option splice-response" if splice else "no option splice-response",
        )
        (directory / "haproxy.cfg").write_text(self.settings)

    def command(self) -> Sequence[str]:
        return ["haproxy", "-db", "-f", f"{self.directory}/haproxy.cfg"]


class WideGlance(Glance):
    """A Glance with as many workers as there are processors, as it is run for more than tests."""

    def command(self) -> Sequence[str]:
        words = list(super().command())
        words[words.index("--workers" if self.server == "gunicorn" else "--processes") + 1] = str(os.cpu_count())
        return words


def configurations() -> list[str]:
    """What they are told, without the places of one run."""
    words = {"directory": "RUN", "files": "FILES", "port": "PORT", "upstream": "UPSTREAM"}
    haproxy = {"threads": os.cpu_count(), **words}
    return [
        NGINX.format(user="", **words),
        HAPROXY.format(bufsize=DEFAULT_BUFFER, splice="no option splice-response", **haproxy),
        HAPROXY.format(bufsize=LARGE_BUFFER, splice="option splice-response", **haproxy),
    ]


def versions() -> dict[str, str]:
    """What the peers say of their versions."""
    nginx = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True, timeout=10).stderr
    haproxy = subprocess.run(["haproxy", "-v"], capture_output=True, text=True, check=True, timeout=10).stdout
    openssl = subprocess.run(["openssl", "version"], capture_output=True, text=True, check=True, timeout=10).stdout
    return {
        "nginx": nginx.strip().rpartition("/")[2],
        "HAProxy": haproxy.split()[2],
        "OpenSSL": openssl.split()[1],
    }
