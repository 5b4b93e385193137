# A host with one Celery worker of the LMS and its broker.
#   VENV      the virtualenv that has celery
#   BROKER    its URL, at 127.0.0.1: redis (with a password) or amqp
#   PASSWORD  of the broker
#   VHOST     of RabbitMQ
set -eu
here=$(dirname "$0")
export BROKER
mkdir -p /edx/app /edx/etc /edx/var/log/supervisor
cp -r "$here/edxapp" /edx/app/edxapp
printf '%s' "$SETTINGS" >/edx/etc/lms.yml
chgrp www-data /edx/etc/lms.yml
chmod 640 /edx/etc/lms.yml

case $BROKER in
redis:*)
    echo "requirepass $PASSWORD" >>/etc/redis/redis.conf
    chown -R redis:redis /etc/redis /var/lib/redis /var/log/redis
    chmod 640 /etc/redis/redis.conf
    service redis-server start
    ;;
amqp:*)
    cat >/etc/rabbitmq/rabbitmq.conf <<CONF
default_user = celery
default_pass = $PASSWORD
default_vhost = $VHOST
CONF
    chown -R rabbitmq:rabbitmq /etc/rabbitmq /var/lib/rabbitmq /var/log/rabbitmq
    # Without systemd nobody else starts the port mapper, and RabbitMQ stops with "nodistribution".
    setsid -f setpriv --reuid=epmd --regid=epmd --clear-groups epmd -daemon
    HOME=/var/lib/rabbitmq setsid -f rabbitmq-server >/var/log/rabbitmq/stdout.log 2>&1 </dev/null
    ;;
esac
cd /edx/app/edxapp
setsid -f setpriv --reuid=www-data --regid=www-data --clear-groups \
    "$VENV/bin/python" "$VENV/bin/celery" --app=lms.celery:APP worker --loglevel=info \
    --queues=edx.lms.core.default --hostname=edx.lms.core.default.%h --concurrency=1 \
    --without-gossip --without-mingle >/edx/var/log/supervisor/lms_default_1-stderr.log 2>&1 </dev/null
