# A host of the old days: supervisor 3.x on Python 2.7, as www-data, with the port that asks for no password.
#   PYTHON27  the interpreter
#   LIBRARY   the directory with that supervisor
set -eu
here=$(dirname "$0")
log=/edx/var/log/supervisor
base=/edx/app/supervisor
mkdir -p $log /edx/var/supervisor $base/conf.d $base/venvs/supervisor/bin
chown www-data:www-data $log /edx/var/supervisor
cp "$here/supervisord.www-data.conf" $base/supervisord.conf
cp "$here"/old/*.conf $base/conf.d/
for name in supervisord supervisorctl; do
    cat >$base/venvs/supervisor/bin/$name <<SCRIPT
#!$PYTHON27
import sys
sys.path.insert(0, "$LIBRARY")
from supervisor.$name import main
sys.exit(main())
SCRIPT
    chmod 755 $base/venvs/supervisor/bin/$name
done
cd /
exec setpriv --reuid=www-data --regid=www-data --init-groups \
    "$PYTHON27" $base/venvs/supervisor/bin/supervisord --configuration $base/supervisord.conf
