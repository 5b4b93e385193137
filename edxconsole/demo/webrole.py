"""The web host: nginx in front of both app hosts, its sites laid out as edX's playbooks do."""

from __future__ import annotations

from edxconsole.demo.datarole import stand_in
from edxconsole.demo.layout import Contents, Place
from edxconsole.demo.machine import Machine
from edxconsole.demo.sysvinit import add_daemon

_NGINX_CONF = """\
worker_processes 2;
pid /run/nginx.pid;
error_log /edx/var/log/nginx/error.log;

events { worker_connections 768; }

http {
    default_type text/html;
    log_format p_combined '$http_x_forwarded_for - $remote_addr - $remote_user $http_x_forwarded_proto '
                          '[$time_local]  "$request" $status $body_bytes_sent $request_time '
                          '"$http_referer" "$http_user_agent"';
    access_log /edx/var/log/nginx/access.log p_combined;
    client_body_temp_path /var/lib/nginx/body;
    proxy_temp_path /var/lib/nginx/proxy;
    fastcgi_temp_path /var/lib/nginx/fastcgi;
    uwsgi_temp_path /var/lib/nginx/uwsgi;
    scgi_temp_path /var/lib/nginx/scgi;
    include /etc/nginx/sites-enabled/*;
}
"""
_SITE = """\
upstream %(upstream)s {
%(servers)s
}

server {
%(listen)s
    location / {
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $http_x_forwarded_for;
        proxy_connect_timeout 2s;
        proxy_read_timeout 60s;
        proxy_pass http://%(upstream)s;
    }
}
"""
_SITES = (
    ("lms", "lms-backend", (80, 18000), 8000),
    ("cms", "cms-backend", (18010,), 8010),
    ("xqueue", "xqueue_app_server", (18040,), 8040),
)


def web_contents(place: Place, machine: Machine) -> Contents:
    """nginx, or its stand-in."""
    contents = Contents()
    contents.directories += [
        "/edx/var/log/nginx",
        "/var/lib/nginx",
        "/edx/app/nginx/conf.d",
        "/var/log/nginx",
    ]
    contents.add("/etc/nginx/nginx.conf", _NGINX_CONF)
    for site, upstream, ports, backend in _SITES:
        text = _SITE % {
            "upstream": upstream,
            "servers": "\n".join(
                f"    server {app}:{backend} fail_timeout=0;"
                for app in (place.apps if site != "xqueue" else place.apps[:1])
            ),
            "listen": "\n".join(f"    listen {port};" for port in ports),
        }
        contents.add(f"/edx/app/nginx/sites-available/{site}", text)
        contents.links[f"/etc/nginx/sites-enabled/{site}"] = f"/edx/app/nginx/sites-available/{site}"
    if machine.nginx is None:
        stand_in(
            contents, place, "nginx", "nginx", "web server (stand-in)", "/edx/var/log/nginx/stand-in.log"
        )
        return contents
    add_daemon(
        contents,
        place,
        "nginx",
        "web server",
        f'{machine.nginx} -g "daemon off;"',
        log="/edx/var/log/nginx/start.log",
        reload=f"{machine.nginx} -t -q && kill -HUP $(pid)",
        stop_signal="QUIT",
    )
    return contents
