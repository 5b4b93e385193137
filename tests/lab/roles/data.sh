# The data host: MariaDB, memcached and Redis of the machine, and stand-ins for mongod and Elasticsearch.
#   VENV    a virtualenv with pymongo (its bson)
#   RABBIT  1: RabbitMQ as well (it takes 10 to 20 s)
set -eu
here=$(dirname "$0")
mkdir -p /edx/var/log/mongo /edx/var/log/elasticsearch /run/mysqld /var/log/mysql
chown mongodb /edx/var/log/mongo
chown elasticsearch /edx/var/log/elasticsearch
chown mysql /run/mysqld /var/log/mysql

as() { # USER LOG COMMAND...: run in the background, as a daemon of its own
    user=$1 log=$2
    shift 2
    setsid -f setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups "$@" >>"$log" 2>&1 </dev/null
}
as mongodb /edx/var/log/mongo/mongodb.log "$VENV/bin/python" "$here/mongod.py" 0.0.0.0 27017
as elasticsearch /edx/var/log/elasticsearch/edx.log "$VENV/bin/python" "$here/elasticsearch.py" 0.0.0.0 9200

sed -i 's/^-l .*/-l 0.0.0.0/' /etc/memcached.conf
service memcached start
sed -i 's/^bind .*/bind 0.0.0.0/; s/^protected-mode .*/protected-mode no/' /etc/redis/redis.conf
chown -R redis:redis /var/lib/redis /var/log/redis
service redis-server start

data=/edx/var/mysql
install -d -o mysql -g mysql $data
# Without a user for other hosts it would greet them with an error.
echo "CREATE USER IF NOT EXISTS edxapp001@'%' IDENTIFIED BY 'lab';" >/etc/mysql/lab.sql
cat >/etc/mysql/mariadb.conf.d/99-lab.cnf <<CONF
[mysqld]
user = mysql
datadir = $data
bind-address = 0.0.0.0
log-error = /var/log/mysql/error.log
init-file = /etc/mysql/lab.sql
max-connect-errors = 1000000
innodb-log-file-size = 4M
innodb-buffer-pool-size = 16M
CONF
mariadb-install-db --user=mysql --datadir=$data --skip-test-db >/var/log/mysql/install.log 2>&1
# Not by its SysV script, which would take seconds longer; but that one can stop and start it.
as mysql /var/log/mysql/stdout.log /usr/sbin/mysqld

[ "${RABBIT:-0}" = 1 ] || exit 0
echo '[rabbitmq_management].' >/etc/rabbitmq/enabled_plugins
cat >/etc/rabbitmq/rabbitmq.conf <<'CONF'
loopback_users = none
default_user = celery
default_pass = celery
management.tcp.port = 15672
CONF
chown -R rabbitmq:rabbitmq /var/lib/rabbitmq /var/log/rabbitmq
# Without systemd nobody else starts the port mapper, and RabbitMQ stops with "nodistribution".
setsid -f setpriv --reuid=epmd --regid=epmd --clear-groups epmd -daemon
HOME=/var/lib/rabbitmq setsid -f rabbitmq-server >/var/log/rabbitmq/stdout.log 2>&1 </dev/null
