"""nginx and Apache, each listing one and the same directory in every look that it has for it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from processes import Process

# Debian keeps them where not everybody looks.
SEARCH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"

NGINX = """\
{user}worker_processes 1;
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{ worker_connections 256; }}
http {{
  access_log off;
  default_type application/octet-stream;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  autoindex on;
  server {{
    listen 127.0.0.1:{port};
    location = /healthcheck {{ return 200; }}
    location /html/ {{ alias {files}/; }}
    location /rounded/ {{ alias {files}/; autoindex_exact_size off; }}
    location /json/ {{ alias {files}/; autoindex_format json; }}
  }}
}}
"""

APACHE = """\
ServerRoot {directory}
ServerName localhost
Listen 127.0.0.1:{port}
PidFile {directory}/apache.pid
ErrorLog {directory}/error.log
{modules}
{user}
TypesConfig /dev/null
DocumentRoot {directory}/root
Alias /healthcheck {directory}/root/healthcheck
Alias /plain {files}
Alias /fancy {files}
Alias /table {files}
<Directory {directory}/root>
  Require all granted
</Directory>
<Directory {files}>
  Require all granted
  Options Indexes
</Directory>
<Location /plain>
  IndexOptions -FancyIndexing
</Location>
<Location /fancy>
  IndexOptions FancyIndexing
</Location>
<Location /table>
  IndexOptions FancyIndexing HTMLTable IconsAreLinks NameWidth=*
  DefaultIcon /icons/unknown.gif
</Location>
"""

MODULES = Path("/usr/lib/apache2/modules")
WANTED = ("mpm_event", "authz_core", "alias", "dir", "mime", "autoindex")


def program(name: str) -> str | None:
    """Where it is, if this machine has it."""
    return shutil.which(name, path=SEARCH)


class Nginx(Process):
    """nginx: /html/, /rounded/ with sizes that are not exact, and /json/."""

    looks = ("html", "rounded", "json")

    def __init__(self, directory: Path, port: int, files: Path) -> None:
        super().__init__("nginx", directory, port)
        # Without this its worker would be nobody, who cannot write into everybody's directories.
        user = "user root;\n" if os.geteuid() == 0 else ""
        settings = NGINX.format(user=user, directory=directory, port=port, files=files)
        (directory / "nginx.conf").write_text(settings)

    def command(self) -> Sequence[str]:
        return [program("nginx") or "nginx", "-e", f"{self.directory}/error.log", "-c", f"{self.directory}/nginx.conf"]


class Apache(Process):
    """Apache: /plain, /fancy and /table, the last one with links around its icons as well."""

    looks = ("plain", "fancy", "table")

    def __init__(self, directory: Path, port: int, files: Path) -> None:
        super().__init__("apache", directory, port)
        (directory / "root").mkdir(exist_ok=True)
        (directory / "root" / "healthcheck").write_text("well\n")
        modules = "\n".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in WANTED)
        # It serves nothing as root.
        user = "User nobody\nGroup nogroup\n" if os.geteuid() == 0 else ""
        settings = APACHE.format(directory=directory, port=port, files=files, modules=modules, user=user)
        (directory / "apache.conf").write_text(settings)

    def command(self) -> Sequence[str]:
        return [program("apache2") or "apache2", "-D", "FOREGROUND", "-f", f"{self.directory}/apache.conf"]
