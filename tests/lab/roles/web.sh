# The web host: nginx under its SysV script, as Open edX's nginx role lays it out.
set -eu
here=$(dirname "$0")
mkdir -p /edx/var/log/nginx /edx/app/nginx/sites-available /edx/var/nginx/server-static
chown www-data:adm /edx/var/log/nginx
cp "$here/nginx.conf" /etc/nginx/nginx.conf
rm -f /etc/nginx/sites-enabled/*
for site in "$here"/sites/*; do
    cp "$site" /edx/app/nginx/sites-available/
    ln -s "/edx/app/nginx/sites-available/$(basename "$site")" /etc/nginx/sites-enabled/
done
service nginx start
