"""What `ps` shows of every component in every release, after domain.md 1.2, 1.3, 2, 6 and the templates of
edX's configuration repository: (argv, component id). "" belongs to none: wrappers and look-alikes."""

from __future__ import annotations

A = "/edx/app"
V = f"{A}/edxapp/venvs/edxapp/bin"
LMS_PY = "-c /edx/app/edxapp/lms_gunicorn.py lms.wsgi"
MANAGE = f"{V}/python /edx/app/edxapp/edx-platform/manage.py"

EDXAPP = [
    (
        f"{V}/python {V}/gunicorn --preload -b 127.0.0.1:8000 -w 4 --timeout=300 "
        f"--pythonpath={A}/edxapp/edx-platform "
        "lms.wsgi",
        "lms",
    ),  # Aspen
    (f"{V}/python {V}/gunicorn {LMS_PY}", "lms"),  # Birch to Ironwood
    (f"{V}/python3 {V}/gunicorn {LMS_PY}", "lms"),  # Juniper and later
    (f"{V}/python3.8 {V}/gunicorn {LMS_PY}", "lms"),
    (f"{V}/python3 {V}/newrelic-admin run-program {V}/gunicorn {LMS_PY}", "lms"),
    (f"{V}/python3 {V}/ddtrace-run {V}/gunicorn {LMS_PY}", "lms"),
    ("gunicorn: master [lms.wsgi]", "lms"),
    ("gunicorn: worker [lms.wsgi]", "lms"),
    (f"bash {A}/edxapp/lms.sh", ""),  # Hawthorn and Ironwood: gunicorn is its child
    (f"/bin/bash {A}/edxapp/cms.sh", ""),
    (f"{V}/python {V}/gunicorn --preload -b 127.0.0.1:8010 -w 2 --timeout=300 cms.wsgi", "cms"),
    (f"{V}/python3 {V}/gunicorn -c {A}/edxapp/cms_gunicorn.py cms.wsgi", "cms"),
    (
        f"{V}/python3 {V}/newrelic-admin run-program {V}/gunicorn -c {A}/edxapp/cms_gunicorn.py cms.wsgi",
        "cms",
    ),
    ("gunicorn: master [cms.wsgi]", "cms"),
    ("gunicorn: worker [cms.wsgi:application]", "cms"),
    (
        "uwsgi --http 0.0.0.0:8000 --thunder-lock --processes=2 --wsgi-file lms/wsgi.py",
        "lms",
    ),  # Tutor v11 to v18
    ("/openedx/venv/bin/uwsgi --http 0.0.0.0:8000 --wsgi-file=cms/wsgi.py", "cms"),
    (
        "/openedx/venv/bin/python3 /openedx/venv/bin/uwsgi /openedx/uwsgi.ini",
        "",
    ),  # LMS or Studio: its label says
    (
        "gunicorn --name lms --bind=0.0.0.0:8000 --max-requests=1000 --access-logfile - lms.wsgi:application",
        "lms",
    ),
]


def _worker(variant: str, queue: str, count: int) -> str:
    name = f"edx.{variant}.core.{queue}"
    return f"--loglevel=info --queues={name} --hostname={name}.%h --concurrency={count}"


OLD_WORKERS = [
    ("cms", "low", 3),
    ("cms", "default", 4),
    ("cms", "high", 1),
    ("lms", "low", 1),
    ("lms", "default", 3),
    ("lms", "high", 4),
    ("lms", "high_mem", 2),
]
DOGWOOD_WORKERS = [(variant, queue, 1) for variant, queue, _ in OLD_WORKERS]
IRONWOOD_WORKERS = [w for w in DOGWOOD_WORKERS if w[1] != "low"]

WORKERS = [
    *(
        (f"{MANAGE} {v} --settings=aws celery worker {_worker(v, q, n)}", "edxapp_worker")
        for v, q, n in [*OLD_WORKERS, *DOGWOOD_WORKERS]
    ),
    *(
        (f"{MANAGE} {v} --settings=production celery worker {_worker(v, q, n)}", "edxapp_worker")
        for v, q, n in IRONWOOD_WORKERS
    ),  # Ironwood, Juniper
    *(
        (f"{V}/python {V}/celery worker --app={v}.celery:APP {_worker(v, q, n)}", "edxapp_worker")
        for v, q, n in IRONWOOD_WORKERS
    ),  # Koa
    *(
        (
            f"{V}/python {V}/celery --app={v}.celery:APP worker {_worker(v, q, n)} -O "
            f"default --without-heartbeat",
            "edxapp_worker",
        )
        for v, q, n in IRONWOOD_WORKERS
    ),  # Lilac to Quince
    (
        f"{MANAGE} lms --settings=aws celery worker {_worker('lms', 'high_mem', 1)} --maxtasksperchild 1",
        "edxapp_worker",
    ),
    (
        f"{V}/python {V}/newrelic-admin run-program {MANAGE} lms --settings=aws celery worker "
        f"{_worker('lms', 'default', 1)}",
        "edxapp_worker",
    ),
    ("[celeryd: edx.lms.core.default@app1:MainProcess] -active- (worker)", "edxapp_worker"),
    ("[celeryd: celery@edx.cms.core.low.app1:ForkPoolWorker-1]", "edxapp_worker"),
    (f"bash {A}/edxapp/worker.sh lms --settings=production celery worker", ""),
    (
        "celery --app=lms.celery worker --loglevel=info "
        "--hostname=edx.lms.core.default.%h --queues=edx.lms.core.default,"
        "edx.lms.core.high,edx.lms.core.high_mem --max-tasks-per-child=100 "
        "--prefetch-multiplier=1 --without-gossip "
        "--without-mingle",
        "edxapp_worker",
    ),  # Tutor v18.2 and later
    (
        "celery --app=cms.celery worker -l info --hostname=edx.cms.core.default.%h --maxtasksperchild 100 "
        "--exclude-queues=edx.lms.core.default",
        "edxapp_worker",
    ),  # Tutor v13 to v18.1
    ("celery -A lms.celery worker", "edxapp_worker"),
    ("celery -A cms.celery:APP worker -c 2", "edxapp_worker"),
    (
        "python ./manage.py lms celery worker --loglevel=info --hostname=edx.lms.core.default.%h",
        "edxapp_worker",
    ),
    (
        f"{V}/python {V}/single-beat {V}/celery beat --config=lms.envs.production --loglevel=info "
        "--schedule=/edx/var/log/supervisor/celerybeat-schedule",
        "celery_beat",
    ),
    (f"{V}/python {V}/celery beat --config=lms.envs.production --loglevel=info", "celery_beat"),
    (f"{V}/python {V}/celery --config=lms.envs.production beat --loglevel=info", "celery_beat"),
    (
        f"{V}/python {V}/newrelic-admin run-program {V}/single-beat {V}/celery beat "
        f"--config=lms.envs.production",
        "celery_beat",
    ),
    ("celery -A cms.celery beat", "celery_beat"),
    ("celery -A shop.celery beat", ""),
]


def _ida(name: str, module: str, extra: str = "") -> list[tuple[str, str]]:
    bin_ = f"{A}/{name}/venvs/{name}/bin"
    served = f"-c {A}/{name}/{name}_gunicorn.py {extra}{module}.wsgi:application"
    return [
        (f"{bin_}/python {bin_}/gunicorn {served}", name),
        (f"{bin_}/python3 {bin_}/newrelic-admin run-program {bin_}/gunicorn {served}", name),
        (f"gunicorn: worker [{module}.wsgi:application]", name),
        (f"{bin_}/python3 {bin_}/gunicorn -c {A}/{name}/{name}_gunicorn.py", name),
        (f"bash {A}/{name}/{name}.sh", ""),
    ]


IDAS = [
    *_ida("xqueue", "xqueue"),
    *_ida("analytics_api", "analyticsdataserver"),
    *_ida("edx_notes_api", "notesserver"),
    *_ida("ecommerce", "ecommerce", "--max-requests 1000 "),
    *_ida("programs", "programs"),
    *_ida("credentials", "credentials"),
    *_ida("discovery", "course_discovery"),
    *_ida("registrar", "registrar"),
    *_ida("designer", "designer"),
    *_ida("blockstore", "blockstore"),
    *_ida("enterprise_catalog", "enterprise_catalog"),
    *_ida("license_manager", "license_manager"),
    *_ida("commerce_coordinator", "commerce_coordinator"),
    (
        f"{A}/x/bin/python {A}/x/bin/gunicorn -c {A}/course_discovery/course_discovery_gunicorn.py",
        "discovery",
    ),
    (
        f"{A}/insights/venvs/insights/bin/python "
        f"{A}/insights/venvs/insights/bin/gunicorn --pythonpath={A}/insights "
        "-b 127.0.0.1:8110 -w 2 --timeout=300 analytics_dashboard.wsgi:application",
        "insights",
    ),
    (f"{A}/insights/bin/gunicorn -c {A}/insights/insights_gunicorn.py", "insights"),
    (
        f"{A}/gitreload/venvs/gitreload/bin/gunicorn -c "
        f"{A}/gitreload/gitreload_gunicorn.py gitreload.web:app",
        "gitreload",
    ),
    (f"{A}/gitreload/venvs/gitreload/bin/gunicorn -c {A}/gitreload/gitreload_gunicorn.py", "gitreload"),
    (
        f"{A}/xqueue/venvs/xqueue/bin/python {A}/xqueue/venvs/xqueue/bin/django-admin.py run_consumer "
        f"--pythonpath={A}/xqueue/xqueue --settings=xqueue.aws_settings",
        "xqueue_consumer",
    ),
    ("/openedx/venv/bin/python manage.py run_consumer", "xqueue_consumer"),
    (f"{A}/xqwatcher/venvs/xqwatcher/bin/python -m xqueue_watcher -d {A}/xqwatcher", "xqwatcher"),
    (
        f"{A}/xqwatcher/bin/python {A}/xqwatcher/bin/newrelic-admin run-program {A}/xqwatcher/bin/python -m "
        f"xqueue_watcher -d {A}/xqwatcher",
        "xqwatcher",
    ),
    (f"{A}/certs/venvs/certs/bin/python {A}/certs/certificates/certificate_agent.py", "certs"),
    (f"{A}/notifier/virtualenvs/notifier/bin/python manage.py celery worker -l INFO", "notifier"),
    (f"{A}/notifier/virtualenvs/notifier/bin/python manage.py scheduler", "notifier"),
    (f"bash {A}/notifier/notifier-celery-workers-supervisor.sh", ""),
    ("python manage.py celery worker -l INFO", ""),
]

IDA_WORKERS = [
    *(
        (
            f"{A}/{n}/venvs/{n}/bin/python {A}/{n}/venvs/{n}/bin/celery worker -A {n} "
            f"--app {app}.celery:app --loglevel=info "
            f"--queue={n}.default --hostname={n}.{n}.default.%h --concurrency=1",
            "ida_worker",
        )
        for n, app in (
            ("registrar", "registrar"),
            ("enterprise_catalog", "enterprise_catalog"),
            ("discovery", "course_discovery"),
            ("license_manager", "license_manager"),
            ("commerce_coordinator", "commerce_coordinator"),
        )
    ),
    ("celery --app registrar.celery:app worker --queues=registrar.default --concurrency=1", "ida_worker"),
    ("celery -A course_discovery.celery:app worker", "ida_worker"),
    (
        f"{A}/ecomworker/venvs/ecomworker/bin/python "
        f"{A}/ecomworker/venvs/ecomworker/bin/celery -A ecommerce_worker worker "
        "--app ecommerce_worker.celery_app:app --concurrency=4 --loglevel=info --hostname=ecomworker.%h "
        "--queue=ecommerce.fulfillment,ecommerce.email_marketing,ecommerce.default",
        "ecomworker",
    ),
    ("celery -A ecommerce_worker.celery_app:app worker -n ecomworker.app1", "ecomworker"),
    ("celery -A ecommerce_worker.celery_app worker", "ecomworker"),
    ("celery -A ecommerce_worker worker", "ecomworker"),
    (
        f"{A}/flower/venvs/flower/bin/python {A}/flower/venvs/flower/bin/celery flower "
        f"--broker amqp://celery:celery@"
        f"127.0.0.1:5672// --conf={A}/flower/flowerconfig.py",
        "flower",
    ),
    ("/usr/bin/python3 -m flower --port=5555", "flower"),
    ("celery -A shop.celery worker -Q shop.default", ""),
    (f"{V}/python {V}/celery --app=lms.celery:APP inspect active", ""),
]

FORUM = [
    ("unicorn master -c config/unicorn.rb -I .", "forum"),
    ("unicorn worker[2] -c config/unicorn.rb -I .", "forum"),
    (
        f"{A}/forum/.rbenv/versions/2.5.7/bin/ruby {A}/forum/.gem/bin/unicorn -c config/unicorn_tcp.rb -I .",
        "forum",
    ),
    ("ruby bundle exec unicorn -c config/unicorn.rb -I .", "forum"),
    ("ruby app.rb", "forum"),
    (f"bash {A}/forum/forum-supervisor.sh", ""),
    ("unicorn master -c /var/opt/gitlab/gitlab-rails/etc/unicorn.rb -E production", ""),
]

INFRASTRUCTURE = [
    ("nginx: master process /usr/sbin/nginx -g daemon on; master_process on;", "nginx"),
    ("nginx: worker process", "nginx"),
    ("nginx: cache manager process", "nginx"),
    ("/usr/sbin/nginx -g daemon off;", "nginx"),
    ("/usr/sbin/mysqld", "mysql"),
    (
        "mysqld --character-set-server=utf8mb4 --binlog-expire-logs-seconds=259200 "
        "--mysql-native-password=ON",
        "mysql",
    ),
    ("/usr/sbin/mariadbd", "mysql"),
    ("/bin/sh /usr/bin/mysqld_safe", ""),
    ("/usr/bin/mongod --config /etc/mongod.conf", "mongodb"),
    ("mongod --storageEngine wiredTiger", "mongodb"),
    ("/usr/bin/memcached -m 64 -p 11211 -u memcache -l 127.0.0.1", "memcached"),
    (
        "/usr/lib/erlang/erts-7.3/bin/beam.smp -W w -K true -A30 -- -root /usr/lib/erlang -sname rabbit@app1",
        "rabbitmq",
    ),
    ("/usr/lib/erlang/erts-5.8.5/bin/beam -W w -- -sname rabbit@app1", "rabbitmq"),
    ("/bin/sh /usr/sbin/rabbitmq-server", "rabbitmq"),
    ("/usr/lib/erlang/erts-13.1.5/bin/erl_child_setup 1024 rabbit", "rabbitmq"),
    ("/usr/lib/erlang/erts-7.3/bin/epmd -daemon", "rabbitmq"),
    ("/usr/lib/erlang/erts-7.3/bin/beam.smp -- -sname ejabberd", ""),
    ("/usr/bin/redis-server 127.0.0.1:6379", "redis"),
    ("redis-server *:6379", "redis"),
    ("redis-rdb-bgsave 127.0.0.1:6379", "redis"),
    ("redis-aof-rewrite 127.0.0.1:6379", "redis"),
    (
        "/usr/bin/java -Xms512m -cp /usr/share/elasticsearch/lib/* org.elasticsearch.bootstrap.ElasticSearch",
        "elasticsearch",
    ),
    ("/usr/bin/java -Xshare:auto -Xms1g -cp x org.elasticsearch.bootstrap.Elasticsearch -d", "elasticsearch"),
    ("/usr/share/elasticsearch/modules/x-pack-ml/platform/linux-x86_64/bin/controller", "elasticsearch"),
    ("/usr/share/elasticsearch/bin/elasticsearch -d", "elasticsearch"),
    (
        "/edx/app/supervisor/venvs/supervisor/bin/python "
        "/edx/app/supervisor/venvs/supervisor/bin/supervisord "
        "--configuration /edx/app/supervisor/supervisord.conf",
        "supervisor",
    ),
    ("/usr/bin/python3 /usr/bin/supervisord -n -c /etc/supervisor/supervisord.conf", "supervisor"),
    ("/usr/lib/postfix/sbin/master -w", "postfix"),
    ("/usr/lib/postfix/master", "postfix"),
    ("pickup -l -t unix -u -c", "postfix"),
    ("qmgr -l -t unix -u", "postfix"),
    ("smtpd -n smtp -t inet -u -c -o stress= -s 2", "postfix"),
    ("/usr/sbin/rsyslogd -n -iNONE", "rsyslog"),
    ("rsyslogd -c5", "rsyslog"),
    ("/usr/sbin/cron -f -P", "cron"),
    ("/usr/sbin/crond -n", "cron"),
    ("/usr/sbin/ntpd -p /var/run/ntpd.pid -g -u 106:112", "ntp"),
    ("/usr/sbin/chronyd -F 1", "ntp"),
    ("/lib/systemd/systemd-timesyncd", "ntp"),
]

TUTOR = [
    ("caddy run --config /etc/caddy/Caddyfile --adapter caddyfile", "caddy"),
    ("/bin/meilisearch --env production", "meilisearch"),
    ("exim -bdf -q15m", "smtp"),
    ("/usr/sbin/exim4 -bd -q30m", "smtp"),
    ("setowners.sh 1000 /mounts/lms", "permissions"),
    ("minio server --address :9000 --console-address :9001 /data", "minio"),
]

LOOK_ALIKES = [
    "grep lms.wsgi",
    "grep gunicorn.*lms_gunicorn.py",
    "grep -r org.elasticsearch. /etc",
    "vim lms_gunicorn.py",
    "vim gunicorn lms.wsgi",
    "tail -f /edx/var/log/supervisor/lms-stderr.log",
    "tail -F /edx/app/edxapp/lms_gunicorn.py",
    "less /edx/app/xqueue/xqueue_gunicorn.py",
    "sudo -u www-data gunicorn lms.wsgi",
    "bash -c gunicorn lms.wsgi",
    "sh -c exec mysqld",
    "python -c import gunicorn; lms.wsgi",
    "python -",
    "man nginx",
    "/usr/bin/mongodump",
    "strace -p 1 mysqld",
    "ssh app1 supervisord",
    "supervisorctl -c /edx/app/supervisor/supervisord.conf status",
    "mysql -u root",
    "mysqldump edxapp",
    "redis-cli ping",
    "mongo --eval 1",
    "rabbitmqctl status",
    "memcached-tool x stats",
    f"{V}/python {V}/gunicorn --check-config {LMS_PY}",
    "gunicorn --version",
    "gunicorn other.wsgi",
    "gunicorn notlms.wsgi",
    "gunicorn lms.wsgix",
    "gunicorn -c notlms_gunicorn.py",
    "nginx-exporter",
    "crontab -e",
    f"{MANAGE} lms --settings=aws migrate",
    f"{MANAGE} lms shell",
    "python manage.py runserver",
    "ruby other_app.rb",
    "unicorn",
    "celery",
    "celery worker",
    "single-beat",
    "newrelic-admin",
    "newrelic-admin run-program",
    "python",
    "",
    "docker-proxy -host-port 80 -container-port 80",
    "pickup truck",
    "/opt/master -w",
    "java -jar elasticsearch.jar",
    "tar cf - /edx/app/edxapp/lms_gunicorn.py",
    "watch celery -A lms.celery worker",
    "emacs certificate_agent.py",
]

GOLDEN = [
    *EDXAPP,
    *WORKERS,
    *IDAS,
    *IDA_WORKERS,
    *FORUM,
    *INFRASTRUCTURE,
    *TUTOR,
    *((text, "") for text in LOOK_ALIKES),
]
