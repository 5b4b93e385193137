# An app host: supervisord with the LMS, the CMS, xqueue and their workers.
#   VENV          the virtualenv that has gunicorn, celery and supervisor
#   BROKER        the celery broker's URL
#   SUPERVISOR_AS www-data: as Open edX ships it, with the open port 9001; root: only the socket, 0700 www-data
#   CONSUMER      push: xqueue_consumer keeps running; none: it has no queues, so it ends well at once
set -eu
here=$(dirname "$0")
export BROKER CONSUMER
log=/edx/var/log
mkdir -p $log/supervisor $log/lms $log/cms $log/xqueue /edx/var/supervisor /edx/var/celery /edx/etc \
    /edx/app/supervisor/conf.d /edx/app/supervisor/venvs /edx/app/edxapp/venvs /edx/app/xqueue/venvs /edx/bin
chown -R www-data:www-data $log/supervisor $log/lms $log/cms $log/xqueue /edx/var/supervisor /edx/var/celery
for venv in supervisor edxapp xqueue; do
    ln -s "$VENV" "/edx/app/$venv/venvs/$venv"
done
cp -r "$here/edxapp/." /edx/app/edxapp/
cp "$here"/programs/*.conf /edx/app/supervisor/conf.d/
cp "$here/supervisord.$SUPERVISOR_AS.conf" /edx/app/supervisor/supervisord.conf
cat > /edx/bin/supervisorctl <<'CTL'
#!/bin/sh
sudo -u www-data /edx/app/supervisor/venvs/supervisor/bin/supervisorctl -c /edx/app/supervisor/supervisord.conf $*
CTL
chmod 755 /edx/bin/supervisorctl
if [ "$SUPERVISOR_AS" = www-data ]; then
    set -- setpriv --reuid=www-data --regid=www-data --init-groups
else
    set --
fi
cd /
exec "$@" /edx/app/supervisor/venvs/supervisor/bin/python /edx/app/supervisor/venvs/supervisor/bin/supervisord \
    --configuration /edx/app/supervisor/supervisord.conf
