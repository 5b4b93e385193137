"""The data host: MySQL, MongoDB, memcached, Redis and RabbitMQ, the machine's own where it has them."""

from __future__ import annotations

import sys
from pathlib import Path

from edxconsole.demo.cluster import standin
from edxconsole.demo.layout import Contents, Place
from edxconsole.demo.machine import Machine
from edxconsole.demo.rootfs import USER_NAME
from edxconsole.demo.settings_files import DATABASES, Passwords
from edxconsole.demo.sysvinit import add_daemon

_REDIS_CONF = """\
bind 0.0.0.0
protected-mode no
port 6379
maxmemory 512mb
maxmemory-policy noeviction
save ""
dir /var/lib/redis
logfile /var/log/redis/redis-server.log
"""
_MYSQL_OPTIONS = (
    "--no-defaults --datadir=/var/lib/mysql --innodb-log-file-size=4M --innodb-buffer-pool-size=8M "
    "--innodb-flush-method=fsync"
)
_MYSQL_LEAN = (
    "--bind-address=0.0.0.0 --skip-name-resolve --performance-schema=OFF --max-connections=60 "
    "--table-open-cache=64 --innodb-read-io-threads=1 --innodb-write-io-threads=1 "
    "--innodb-log-buffer-size=2M --max-connect-errors=4294967295 --key-buffer-size=1M "
    "--aria-pagecache-buffer-size=1M --socket=/run/mysqld/mysqld.sock --init-file=/etc/mysql/demo.sql "
    "--log-error=/var/log/mysql/error.log"
)


def data_contents(place: Place, machine: Machine, passwords: Passwords) -> Contents:
    """Everything the data host has."""
    contents = Contents()
    contents.directories += [
        "/var/log/mysql", "/var/log/redis", "/var/log/rabbitmq", "/edx/var/log/mongo", "/var/lib/redis",
        "/run/mysqld", "/etc/mysql",
    ]  # fmt: skip
    _add_mysql(contents, place, machine, passwords)
    if machine.memcached:
        contents.add("/etc/memcached.conf", "-m 64\n-p 11211\n-l 0.0.0.0\n")
        command = f"{machine.memcached} -m 64 -p 11211 -l 0.0.0.0 -t 1"
        add_daemon(contents, place, "memcached", "memory cache", command, log="/var/log/memcached.log")
    else:
        stand_in(
            contents, place, "memcached", "memcached", "memory cache (stand-in)", "/var/log/memcached.log"
        )
    if machine.redis:
        contents.add("/etc/redis/redis.conf", _REDIS_CONF)
        add_daemon(
            contents, place, "redis-server", "Redis", f"{machine.redis} /etc/redis/redis.conf --daemonize no"
        )
    else:
        stand_in(
            contents, place, "redis-server", "redis-server", "Redis (stand-in)", "/var/log/redis/stand-in.log"
        )
    stand_in(contents, place, "mongod", "mongod", "MongoDB (stand-in)", "/edx/var/log/mongo/mongodb.log")
    stand_in(
        contents, place, "rabbitmq-server", "beam.smp", "RabbitMQ (stand-in)", "/var/log/rabbitmq/startup_log"
    )
    return contents


def stand_in(contents: Contents, place: Place, name: str, comm: str, title: str, log: str) -> None:
    """Add a stand-in as the service `name`."""
    command = f"{sys.executable} -S {Path(standin.__file__).resolve()} {comm} {place.listen}"
    add_daemon(contents, place, name, title, command, log=log)


def _add_mysql(contents: Contents, place: Place, machine: Machine, passwords: Passwords) -> None:
    if machine.mysqld is None:
        stand_in(contents, place, "mysql", "mysqld", "MySQL (stand-in)", "/var/log/mysql/error.log")
        return
    users = "".join(
        f"CREATE DATABASE IF NOT EXISTS {name};\n"
        f"CREATE USER IF NOT EXISTS '{user}'@'%' IDENTIFIED BY '{passwords.databases[name]}';\n"
        f"GRANT ALL ON {name}.* TO '{user}'@'%';\n"
        for name, user in DATABASES.items()
    )
    operator = f"'{USER_NAME}'@'localhost'"
    looks = (
        f"CREATE USER IF NOT EXISTS {operator} IDENTIFIED BY '{passwords.mysql_operator}';\n"
        f"GRANT SELECT, PROCESS, REPLICATION CLIENT /*M!100508 , SLAVE MONITOR */ ON *.* TO {operator};\n"
    )
    contents.add("/etc/mysql/demo.sql", users + looks, 0o640)
    login = f"[client]\nuser={USER_NAME}\npassword={passwords.mysql_operator}\n"
    contents.add(f"/home/{USER_NAME}/.my.cnf", login, 0o600)
    add_daemon(
        contents,
        place,
        "mysql",
        "MariaDB database server",
        f"{machine.mysqld} {_MYSQL_OPTIONS} {_MYSQL_LEAN}",
        log="/var/log/mysql/start.log",
        prepare=f"[ -d /var/lib/mysql/mysql ] || {machine.mysql_install} {_MYSQL_OPTIONS} --skip-test-db "
        "--auth-root-authentication-method=normal >/var/log/mysql/install.log 2>&1",
    )
